//! The numbers of advisory locks, each for all replicas. They share one space of the database, so all
//! of them stand here; a number, once released, keeps its meaning.

/// Who holds it migrates.
pub(crate) const MIGRATION: i64 = 0x6b72_6169_7465_7201;

/// Who holds it makes or drops partitions: two that make the same one would fail each other.
pub(crate) const PARTITIONS: i64 = 0x6b72_6169_7465_7202;

/// Blocks are set one after the other, so that their limits hold.
pub(crate) const BLOCKS: i64 = 0x6b72_6169_7465_7203;

/// An erasure takes it alone, who adds rows about contacts takes it with others: so none brings
/// back what is erased meanwhile.
pub(crate) const ERASURE: i64 = 0x6b72_6169_7465_7204;

/// Who holds it removes what is older than tenants keep.
pub(crate) const RETENTION: i64 = 0x6b72_6169_7465_7205;

/// Who holds it settles verdicts.
pub(crate) const SETTLING: i64 = 0x6b72_6169_7465_7209;
