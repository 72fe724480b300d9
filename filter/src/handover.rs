//! How unacknowledged events leave a VM that ends: to its successor through a shared queue, or, as
//! marked lines, into the proxy's log. Decides where to; carries nothing itself.

use std::hash::{DefaultHasher, Hash, Hasher};

use kraiter_wire::Kind;

/// The queue that VMs of one process hand events over in. Names are shared with other filters.
pub(crate) const QUEUE: &str = "kraiter.edge.handover";

/// Where the newest VMs write what they are.
pub(crate) const GENERATION_KEY: &str = "kraiter.edge.generation";

/// What an event in the log stands behind; `kraiter replay` looks for it.
pub(crate) const LOG_MARK: &str = "kraiter-event: ";

/// What tells the VMs of one deployment from those of the next: the version of this code and the
/// environment that it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Generation(String);

impl Generation {
    pub(crate) fn of(environment: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        environment.hash(&mut hasher);
        let version = env!("CARGO_PKG_VERSION");
        Self(format!("{version}-{:016x}", hasher.finish()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// What becomes of the events of a VM that ends, given what stands at [`GENERATION_KEY`].
    pub(crate) fn ends(&self, newest: Option<&[u8]>) -> End {
        match newest {
            Some(newest) if newest != self.as_bytes() => End::Replaced,
            Some(_) | None => End::Exit,
        }
    }
}

/// Why a VM ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A VM of another generation is at work already and takes what is in the queue.
    Replaced,
    /// The process ends, or is not known to go on: events go into the log. They go into the queue
    /// as well, should a successor of the same version come after all; ids make that safe.
    Exit,
}

/// The kind of an event line of this filter's own making.
pub(crate) fn kind_of(line: &[u8]) -> Option<Kind> {
    const BEFORE_KIND: &[u8] = b"\",\"k\":\"";
    const ID: usize = 36;
    let rest = line.strip_prefix(b"{\"id\":\"")?.get(ID..)?;
    match rest.strip_prefix(BEFORE_KIND)?.first()? {
        b'o' => Some(Kind::Open),
        b'c' => Some(Kind::Click),
        b'u' => Some(Kind::Unsubscribe),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraiter_wire::{EventIdGenerator, SignalsWriter, UnixMillis};

    #[test]
    fn only_another_generation_replaces_a_vm() {
        let old = Generation::of(b"KEY=1\0");
        let new = Generation::of(b"KEY=2\0");
        assert_eq!(old.ends(Some(new.as_bytes())), End::Replaced);
        assert_eq!(new.ends(Some(new.as_bytes())), End::Exit);
        assert_eq!(old.ends(None), End::Exit);
        assert_eq!(Generation::of(b"KEY=1\0"), old);
    }

    #[test]
    fn every_kind_is_read_back_from_its_line() {
        let mut ids = EventIdGenerator::new([1; 16]);
        for kind in [Kind::Open, Kind::Click, Kind::Unsubscribe] {
            let mut line = Vec::new();
            let id = ids.next(UnixMillis(1_700_000_000_000));
            SignalsWriter::default().write(id, kind, b"token", &mut line);
            assert_eq!(kind_of(&line), Some(kind));
        }
        for line in ["", "{}", "{\"id\":\"short\",\"k\":\"o\"}"] {
            assert_eq!(kind_of(line.as_bytes()), None);
        }
    }
}
