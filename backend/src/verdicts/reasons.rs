//! Verdicts and the reasons that make them.

use std::fmt;
use std::str::FromStr;

/// Who made an event. Names are public API; numbers are what Postgres holds. Both keep their
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Verdict {
    Human,
    Machine,
    /// Signs of a machine that are no proof.
    Suspect,
}

impl Verdict {
    pub const ALL: [Self; 3] = [Self::Human, Self::Machine, Self::Suspect];

    pub fn number(self) -> i16 {
        match self {
            Self::Human => 1,
            Self::Machine => 2,
            Self::Suspect => 3,
        }
    }

    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.number() == number)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Machine => "machine",
            Self::Suspect => "suspect",
        }
    }
}

impl FromStr for Verdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not human, machine or suspect"))
    }
}

/// A rule that applied. Names are public API, numbers are bits in Postgres; both keep their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(as = VerdictReason, rename_all = "snake_case")]
pub enum Reason {
    /// Loaded by Apple's Mail Privacy Protection.
    AppleMpp,
    /// And from where Apple's relays ask.
    AppleRelay,
    /// Loaded by Gmail before anybody looked.
    GmailPrefetch,
    /// A header announces a prefetch or preview.
    Prefetch,
    /// Loaded through a mail service's proxy when somebody read.
    ImageProxy,
    /// A bot's User-Agent, or none.
    BotUa,
    /// From a network that the operator lists.
    OperatorNet,
    /// From a network of mail security.
    ScannerNet,
    /// Sooner after sending than anybody reads.
    TooSoon,
    /// Several links of one mail within moments.
    Burst,
    /// One address following links for many recipients.
    ManyRecipients,
}

impl Reason {
    pub const ALL: [Self; 11] = [
        Self::AppleMpp,
        Self::AppleRelay,
        Self::GmailPrefetch,
        Self::Prefetch,
        Self::ImageProxy,
        Self::BotUa,
        Self::OperatorNet,
        Self::ScannerNet,
        Self::TooSoon,
        Self::Burst,
        Self::ManyRecipients,
    ];

    fn bit(self) -> i32 {
        1 << match self {
            Self::AppleMpp => 0,
            Self::AppleRelay => 1,
            Self::GmailPrefetch => 2,
            Self::Prefetch => 3,
            Self::ImageProxy => 4,
            Self::BotUa => 5,
            Self::OperatorNet => 6,
            Self::ScannerNet => 7,
            Self::TooSoon => 8,
            Self::Burst => 9,
            Self::ManyRecipients => 10,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AppleMpp => "apple_mpp",
            Self::AppleRelay => "apple_relay",
            Self::GmailPrefetch => "gmail_prefetch",
            Self::Prefetch => "prefetch",
            Self::ImageProxy => "image_proxy",
            Self::BotUa => "bot_ua",
            Self::OperatorNet => "operator_net",
            Self::ScannerNet => "scanner_net",
            Self::TooSoon => "too_soon",
            Self::Burst => "burst",
            Self::ManyRecipients => "many_recipients",
        }
    }
}

/// All rules that applied to an event. They alone decide the verdict.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Reasons(i32);

impl Reasons {
    pub fn add(&mut self, reason: Reason) {
        self.0 |= reason.bit();
    }

    pub fn has(self, reason: Reason) -> bool {
        self.0 & reason.bit() != 0
    }

    /// With a rule about neighbours decided anew.
    pub fn with(self, reason: Reason, applies: bool) -> Self {
        match applies {
            true => Self(self.0 | reason.bit()),
            false => Self(self.0 & !reason.bit()),
        }
    }

    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL
            .into_iter()
            .filter(move |reason| self.has(*reason))
    }

    /// As Postgres holds them.
    pub fn bits(self) -> i32 {
        self.0
    }

    /// Bits that a newer version has set are kept.
    pub fn from_bits(bits: i32) -> Self {
        Self(bits)
    }

    /// Certain signs first. A mail service's proxy outweighs what comes after it: there the
    /// User-Agent and the network are the proxy's, and it loads for a person.
    pub fn verdict(self) -> Verdict {
        let any = |reasons: &[Reason]| reasons.iter().any(|reason| self.has(*reason));
        if any(&[
            Reason::Burst,
            Reason::ManyRecipients,
            Reason::AppleMpp,
            Reason::GmailPrefetch,
            Reason::Prefetch,
        ]) {
            return Verdict::Machine;
        }
        if self.has(Reason::ImageProxy) {
            return match self.has(Reason::TooSoon) {
                true => Verdict::Suspect,
                false => Verdict::Human,
            };
        }
        if any(&[Reason::BotUa, Reason::OperatorNet]) {
            return Verdict::Machine;
        }
        match any(&[Reason::ScannerNet, Reason::TooSoon]) {
            true => Verdict::Suspect,
            false => Verdict::Human,
        }
    }
}

impl FromIterator<Reason> for Reasons {
    fn from_iter<I: IntoIterator<Item = Reason>>(reasons: I) -> Self {
        let mut all = Self::default();
        reasons.into_iter().for_each(|reason| all.add(reason));
        all
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(Reason::as_str))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(reasons: &[Reason]) -> Verdict {
        reasons.iter().copied().collect::<Reasons>().verdict()
    }

    #[test]
    fn without_a_reason_it_was_a_person() {
        assert_eq!(verdict(&[]), Verdict::Human);
        assert_eq!(verdict(&[Reason::AppleRelay]), Verdict::Human);
    }

    #[test]
    fn a_reader_behind_a_proxy_stays_a_person() {
        assert_eq!(verdict(&[Reason::ImageProxy]), Verdict::Human);
        assert_eq!(
            verdict(&[Reason::ImageProxy, Reason::BotUa]),
            Verdict::Human
        );
        assert_eq!(
            verdict(&[Reason::ImageProxy, Reason::TooSoon]),
            Verdict::Suspect
        );
        assert_eq!(
            verdict(&[Reason::ImageProxy, Reason::Prefetch]),
            Verdict::Machine
        );
    }

    #[test]
    fn what_is_no_proof_makes_a_suspect() {
        assert_eq!(verdict(&[Reason::ScannerNet]), Verdict::Suspect);
        assert_eq!(verdict(&[Reason::TooSoon]), Verdict::Suspect);
        assert_eq!(
            verdict(&[Reason::ScannerNet, Reason::BotUa]),
            Verdict::Machine
        );
        assert_eq!(verdict(&[Reason::TooSoon, Reason::Burst]), Verdict::Machine);
    }

    #[test]
    fn numbers_and_bits_keep_their_meaning() {
        assert_eq!(Verdict::ALL.map(Verdict::number), [1, 2, 3]);
        let bits = Reason::ALL.map(|reason| Reasons::from_iter([reason]).bits());
        assert_eq!(bits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
        let back = Reasons::from_bits(0b100_0001);
        assert_eq!(
            back,
            Reasons::from_iter([Reason::AppleMpp, Reason::OperatorNet])
        );
    }
}
