//! Makes tokens that the backend did not: for the collector's counts, and for every forgery.

use kraiter_wire::{
    ContactId, Day, Destination, KeyId, Keyring, Link, LinkIndex, Secret, SendId, TenantId,
    TenantSigner,
};

/// Signs for one tenant under one secret.
pub struct Forge {
    signer: TenantSigner,
    keyring: Keyring,
    contact: ContactId,
    day: Day,
}

impl Forge {
    /// `None` when `tenant` is 0, which is no tenant.
    pub fn new(secret: [u8; 32], tenant: u32) -> Option<Self> {
        Self::with_key(1, secret, tenant)
    }

    /// As after a rotation to another key id. `None` when `key` or `tenant` is 0.
    pub fn with_key(key: u8, secret: [u8; 32], tenant: u32) -> Option<Self> {
        let secret = Secret::from_bytes(secret);
        let key = KeyId::new(key)?;
        Some(Self {
            signer: TenantSigner::new(key, &secret, TenantId::new(tenant)?),
            keyring: Keyring::new([(key, secret)]).ok()?,
            contact: ContactId::from_bytes([0xC0; 16]),
            // Some day in the past; only the backend looks at it.
            day: Day(20_750),
        })
    }

    /// The text form of the keyring that verifies these tokens.
    pub fn keyring(&self) -> String {
        self.keyring.expose()
    }

    /// The path of a pixel. `None` when `send` cannot be a send id.
    pub fn pixel(&self, send: &str) -> Option<String> {
        Some(format!("/o/{}.gif", self.token(send, Link::Open)?))
    }

    pub fn click(&self, send: &str, url: &str) -> Option<String> {
        let url = Destination::parse(url).ok()?;
        let index = LinkIndex(0);
        let token = self.token(send, Link::Click { index, url })?;
        Some(format!("/c/{token}"))
    }

    pub fn unsubscribe(&self, send: &str) -> Option<String> {
        Some(format!("/u/{}", self.token(send, Link::Unsubscribe)?))
    }

    fn token(&self, send: &str, link: Link<'_>) -> Option<String> {
        let send = SendId::parse(send).ok()?;
        let mail = self.signer.for_mail(&send, self.contact, self.day);
        Some(mail.token(&link))
    }
}
