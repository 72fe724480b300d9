//! When settling gives way: what waits to be stored goes first, for a while.

use std::time::{Duration, Instant};

use crate::ingest::Load;

/// A round never waits longer than this in all, so that verdicts are settled under steady load, too.
const PATIENCE: Duration = Duration::from_secs(15);

const POLL: Duration = Duration::from_millis(50);

/// Of one round.
pub(super) struct Pace<'l> {
    busy: &'l Load,
    patient_until: Instant,
}

impl<'l> Pace<'l> {
    pub(super) fn of_round(busy: &'l Load) -> Self {
        Self {
            busy,
            patient_until: Instant::now() + PATIENCE,
        }
    }

    /// Waits while more comes than is written at once.
    pub(super) async fn give_way(&self) {
        while (self.busy)() && Instant::now() < self.patient_until {
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_burst_goes_first_until_it_is_over_or_patience_ends() {
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let over_at_the_third: Load = Arc::new(move || counted.fetch_add(1, Ordering::SeqCst) < 2);
        Pace::of_round(&over_at_the_third).give_way().await;
        assert_eq!(looks.load(Ordering::SeqCst), 3);

        let endless: Load = Arc::new(|| true);
        let patient_until = Instant::now() + Duration::from_millis(80);
        let pace = Pace {
            busy: &endless,
            patient_until,
        };
        pace.give_way().await;
        assert!(Instant::now() >= patient_until);
        // Patience is a round's, not each wait's.
        let again = Instant::now();
        pace.give_way().await;
        assert!(again.elapsed() < Duration::from_millis(40));
    }
}
