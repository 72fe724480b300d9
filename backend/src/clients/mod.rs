//! What a User-Agent says about the program and the device it comes from. Nothing is stored of it, so
//! that better names hold for the past as well. Pure.

use serde::Serialize;
use woothee::parser::Parser;

/// Mail clients by what their User-Agents contain, without regard to case; the first that fits is
/// taken. The names are their makers' own, the texts are in what they send.
const MAIL_CLIENTS: [(&str, &str); 14] = [
    ("googleimageproxy", "Gmail"),
    ("yahoomailproxy", "Yahoo Mail"),
    ("microsoft outlook", "Outlook"),
    ("ms-office", "Outlook"),
    ("msoffice", "Outlook"),
    ("outlook-ios", "Outlook"),
    ("outlook-android", "Outlook"),
    ("thunderbird", "Thunderbird"),
    ("k-9 mail", "K-9 Mail"),
    ("evolution", "Evolution"),
    ("postbox", "Postbox"),
    ("airmail", "Airmail"),
    ("samsungemail", "Samsung Email"),
    ("yahoomobilemail", "Yahoo Mail"),
];

/// The mail services whose proxies load pictures for their readers.
const PROXIES: [&str; 2] = ["googleimageproxy", "yahoomailproxy"];

/// What Apple's relays send, and nothing else.
const APPLE_RELAY: &str = "Mozilla/5.0";

/// A part that the User-Agent does not tell is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Client)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Client {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, example = "Thunderbird")]
    mail_client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Firefox")]
    browser: Option<String>,
    /// Operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Windows 10")]
    os: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device: Option<Device>,
    /// A mail service's proxy asked in the reader's place: browser, system, device and address are
    /// not the reader's, so they are left out.
    proxied: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Device)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Device {
    Computer,
    Phone,
    Tablet,
}

impl Device {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Computer => "computer",
            Self::Phone => "phone",
            Self::Tablet => "tablet",
        }
    }
}

impl Client {
    pub(crate) fn mail_client(&self) -> Option<&'static str> {
        self.mail_client
    }

    pub(crate) fn browser(&self) -> Option<&str> {
        self.browser.as_deref()
    }

    pub(crate) fn os(&self) -> Option<&str> {
        self.os.as_deref()
    }

    pub(crate) fn device(&self) -> Option<Device> {
        self.device
    }

    pub(crate) fn proxied(&self) -> bool {
        self.proxied
    }

    /// `None` if nothing is known.
    pub(crate) fn of(user_agent: &str) -> Option<Self> {
        let name = user_agent.trim();
        if name == APPLE_RELAY {
            return Some(Self {
                mail_client: Some("Apple Mail"),
                proxied: true,
                ..Self::default()
            });
        }
        let lower = name.to_ascii_lowercase();
        let named = MAIL_CLIENTS.iter().find(|(text, _)| lower.contains(text));
        let named = named.map(|(_, client)| *client);
        if PROXIES.iter().any(|proxy| lower.contains(proxy)) {
            return Some(Self {
                mail_client: named,
                proxied: true,
                ..Self::default()
            });
        }
        let parsed = Parser::new().parse(name);
        let known = |text: &str| (!matches!(text, "" | "UNKNOWN")).then(|| text.to_owned());
        let client = Self {
            mail_client: named.or_else(|| is_apple_mail(name).then_some("Apple Mail")),
            browser: parsed.as_ref().and_then(|parsed| known(parsed.name)),
            os: parsed.as_ref().and_then(|parsed| known(parsed.os)),
            device: parsed
                .as_ref()
                .and_then(|parsed| device(parsed.category, &lower)),
            proxied: false,
        };
        // A mail client is no browser, whatever engine it shows its mail with.
        let client = match client.mail_client {
            Some(_) => Self {
                browser: None,
                ..client
            },
            None => client,
        };
        (client != Self::default()).then_some(client)
    }
}

/// Apple's browsers add their version behind the engine, its mail program adds nothing.
fn is_apple_mail(name: &str) -> bool {
    let apple = ["(Macintosh;", "(iPhone;", "(iPad;"]
        .iter()
        .any(|system| name.contains(system));
    let end = name.rsplit_once("(KHTML, like Gecko)");
    let end = end.map(|(_, end)| end.trim());
    apple && end.is_some_and(|end| end.is_empty() || is_build_of_a_phone(end))
}

/// `Mobile/15E148`, alone.
fn is_build_of_a_phone(text: &str) -> bool {
    let build = text.strip_prefix("Mobile/");
    build.is_some_and(|build| build.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn device(category: &str, lower: &str) -> Option<Device> {
    let is_tablet = lower.contains("ipad")
        || lower.contains("tablet")
        || (lower.contains("android") && !lower.contains("mobile"));
    match category {
        _ if is_tablet => Some(Device::Tablet),
        "pc" => Some(Device::Computer),
        "smartphone" | "mobilephone" => Some(Device::Phone),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (
        Option<&'static str>,
        Option<String>,
        Option<String>,
        Option<Device>,
    );

    fn told(user_agent: &str) -> Told {
        let client = Client::of(user_agent).unwrap_or_default();
        assert!(!client.proxied, "{user_agent}");
        (client.mail_client, client.browser, client.os, client.device)
    }

    #[test]
    fn browsers_and_their_devices_are_told_apart() {
        let (mail, browser, os, device) = told(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
        );
        assert_eq!(
            (mail, browser, device),
            (None, Some("Firefox".to_owned()), Some(Device::Computer))
        );
        assert_eq!(os.as_deref(), Some("Windows 10"));
        let (mail, browser, os, device) = told(
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/131.0.0.0 Mobile Safari/537.36",
        );
        assert_eq!(
            (mail, browser, device),
            (None, Some("Chrome".to_owned()), Some(Device::Phone))
        );
        assert_eq!(os.as_deref(), Some("Android"));
        let (mail, browser, _, device) = told(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, \
             like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
        );
        assert_eq!(
            (mail, browser, device),
            (None, Some("Safari".to_owned()), Some(Device::Phone))
        );
    }

    #[test]
    fn mail_clients_are_named_and_are_no_browsers() {
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, \
                   like Gecko)";
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 \
                     (KHTML, like Gecko) Mobile/15E148";
        let outlook = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; \
                       Microsoft Outlook 16.0.17928; ms-office; MSOffice 16)";
        let thunderbird = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 \
                           Thunderbird/128.4.0";
        for (user_agent, name, device) in [
            (mac, "Apple Mail", Device::Computer),
            (phone, "Apple Mail", Device::Phone),
            (outlook, "Outlook", Device::Computer),
            (thunderbird, "Thunderbird", Device::Computer),
        ] {
            let (mail, browser, _, found) = told(user_agent);
            assert_eq!(
                (mail, browser, found),
                (Some(name), None, Some(device)),
                "{user_agent}"
            );
        }
    }

    #[test]
    fn of_a_proxy_only_the_mail_service_is_said() {
        let gmail = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com \
                     GoogleImageProxy)";
        for (user_agent, name) in [(gmail, "Gmail"), ("Mozilla/5.0", "Apple Mail")] {
            let expected = Client {
                mail_client: Some(name),
                proxied: true,
                ..Client::default()
            };
            assert_eq!(Client::of(user_agent), Some(expected));
        }
        assert_eq!(Client::of("something else"), None);
        assert_eq!(Client::of(""), None);
    }
}
