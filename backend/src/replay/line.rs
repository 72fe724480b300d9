//! What one line is: an event of a journal, an event that an edge wrote to Envoy's log when it had
//! to go, nothing, or damaged.

use kraiter_wire::EventLine;
use memchr::memmem;

/// What stands before an event in Envoy's log.
const MARKER: &[u8] = b"kraiter-event: ";

/// How an event begins. Quotes inside of strings are escaped, so it stands nowhere else in one.
const BEGINNING: &[u8] = b"{\"id\":\"";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'l> {
    Event(&'l [u8]),
    /// A whole event behind one that broke off, as a disk that was full for a while leaves them.
    Torn(&'l [u8]),
    /// Empty, a request without an event, or a line of Envoy's log about something else.
    Nothing,
    Damaged(String),
}

/// Tells lines apart. Remembers whether it reads one of Envoy's logs, whose messages may go over
/// several lines.
#[derive(Debug, Default)]
pub(super) struct Reader {
    in_log: bool,
}

impl Reader {
    pub(super) fn read<'l>(&mut self, line: &'l [u8]) -> Found<'l> {
        let line = line.trim_ascii();
        if line.is_empty() || line == b"-" {
            return Found::Nothing;
        }
        if line.first() == Some(&b'{') {
            return event(line);
        }
        if let Some(at) = memmem::find(line, MARKER) {
            self.in_log = true;
            let rest = line.get(at + MARKER.len()..).unwrap_or_default();
            // Terminals' colours may follow.
            let end = rest.iter().rposition(|byte| *byte == b'}');
            return event(rest.get(..=end.unwrap_or(0)).unwrap_or_default());
        }
        // `[time][thread][level][logger] [file:line] message`
        self.in_log |= memmem::find(line, b"][").is_some();
        match self.in_log {
            true => Found::Nothing,
            false => match torn(line) {
                Some(event) => Found::Torn(event),
                None => Found::Damaged(format!(
                    "it is no event line: it begins with {:?}",
                    beginning(line)
                )),
            },
        }
    }
}

fn event(line: &[u8]) -> Found<'_> {
    match (EventLine::parse(line), torn(line)) {
        (Ok(_), _) => Found::Event(line),
        (Err(_), Some(event)) => Found::Torn(event),
        (Err(error), None) => Found::Damaged(error.to_string()),
    }
}

/// The whole event at the end of a line that does not begin with it.
fn torn(line: &[u8]) -> Option<&[u8]> {
    let at = memmem::rfind(line, BEGINNING).filter(|at| *at > 0)?;
    let rest = line.get(at..)?;
    EventLine::parse(rest).is_ok().then_some(rest)
}

fn beginning(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"id":"01990000-0000-7000-8000-000000000000","k":"o","t":"AA"}"#;

    fn read(line: &str) -> String {
        let mut line = line.as_bytes();
        match Reader::default().read(std::mem::take(&mut line)) {
            Found::Event(event) => format!("event {}", event.len()),
            Found::Torn(event) => format!("torn {}", event.len()),
            Found::Nothing => "nothing".to_owned(),
            Found::Damaged(problem) => problem,
        }
    }

    #[test]
    fn lines_of_journals_and_logs_are_told_apart() {
        let whole = format!("event {}", EVENT.len());
        assert_eq!(read(EVENT), whole);
        assert_eq!(read(&format!("  {EVENT}\r")), whole);
        for nothing in [
            "",
            "-",
            " \t\r",
            "[2026-11-23 09:00:00.1][7][info][main] [a.cc:1] started",
        ] {
            assert_eq!(read(nothing), "nothing", "{nothing}");
        }
        let spilled = format!("[2026-11-23][7][warning][wasm] [a.cc:1] kraiter-event: {EVENT}");
        assert_eq!(read(&spilled), whole);
        assert_eq!(read(&format!("{spilled}\u{1b}[m")), whole);
    }

    #[test]
    fn what_is_no_whole_event_is_damaged_and_what_follows_it_is_found() {
        assert!(read("{\"id\":\"0199").contains("not a JSON object"));
        assert!(read("0000-000000000000\",\"k\":\"o\"}").contains("it begins with"));
        assert!(read(&EVENT.replace("\"o\"", "\"x\"")).contains("k is"));
        assert!(read("kraiter-event: x").contains("not a JSON object"));
        assert!(read("\0\0\0").contains("it begins with"));
        let torn = format!("torn {}", EVENT.len());
        assert_eq!(read(&format!("{}{EVENT}", &EVENT[..30])), torn);
        assert_eq!(read(&format!("\0\0{EVENT}")), torn);
    }

    #[test]
    fn in_a_log_what_goes_over_several_lines_is_not_damaged() {
        let mut reader = Reader::default();
        assert!(matches!(reader.read(b"  at somewhere"), Found::Damaged(_)));
        assert_eq!(
            reader.read(b"[2026-11-23][7][error][x] [a.cc:1] trace:"),
            Found::Nothing
        );
        assert_eq!(reader.read(b"  at somewhere"), Found::Nothing);
        assert!(matches!(reader.read(b"{\"id\":"), Found::Damaged(_)));
    }
}
