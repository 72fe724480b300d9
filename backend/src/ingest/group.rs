//! The events of several requests, in the order in which they are locked.

use super::EdgeEvent;

/// Sorted by tenant and id.
pub(super) struct Group {
    /// Sorted and without repeats, each with the request it came with first.
    pub(super) events: Vec<(usize, EdgeEvent)>,
    /// For each request, how many of its events stand in the group already.
    pub(super) repeats: Vec<usize>,
}

impl Group {
    pub(super) fn new(batches: Vec<Vec<EdgeEvent>>) -> Self {
        let mut repeats = vec![0; batches.len()];
        let mut events: Vec<(usize, EdgeEvent)> = batches
            .into_iter()
            .enumerate()
            .flat_map(|(request, batch)| batch.into_iter().map(move |event| (request, event)))
            .collect();
        // Stable: of the same event twice, the request that came first keeps it.
        events.sort_by_key(|(_, event)| (event.tenant, event.id));
        events.dedup_by(|(later, b), (_, a)| {
            let same = (a.tenant, a.id) == (b.tenant, b.id);
            if same && let Some(count) = repeats.get_mut(*later) {
                *count += 1;
            }
            same
        });
        Self { events, repeats }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// A group for each request, in the order of the requests.
    pub(super) fn into_batches(self) -> Vec<Self> {
        let mut batches: Vec<Self> = self
            .repeats
            .iter()
            .map(|repeats| Self {
                events: Vec::new(),
                repeats: vec![*repeats],
            })
            .collect();
        for (request, event) in self.events {
            if let Some(batch) = batches.get_mut(request) {
                batch.events.push((0, event));
            }
        }
        batches
    }
}
