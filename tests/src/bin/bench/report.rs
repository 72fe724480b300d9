//! What a suite found, as a JSON file for machines and a table for people.

use kraiter_tests::artifacts;
use kraiter_tests::trouble::{Outcome, Trouble};
use serde_json::json;

/// One line: ours beside the limit, both medians of interleaved rounds.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// As `pixel/direct_response`: what was measured, beside which limit.
    pub(crate) name: String,
    pub(crate) ours: f64,
    pub(crate) limit: f64,
    pub(crate) unit: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) suite: &'static str,
    pub(crate) findings: Vec<Finding>,
    /// What a reader must know to judge the figures.
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn write(&self) -> Outcome<()> {
        let folder = artifacts::target_dir()?.join("bench");
        let path = folder.join(format!("{}.json", self.suite));
        let results: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "name": finding.name,
                    "ours": finding.ours.round(),
                    "limit": finding.limit.round(),
                    "ratio": (finding.ours / finding.limit * 1000.0).round() / 1000.0,
                    "unit": finding.unit,
                })
            })
            .collect();
        let report = json!({"suite": self.suite, "results": results});
        let writing = format!("writing {}", path.display());
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&path, format!("{report:#}\n")))
            .map_err(Trouble::io(writing))?;
        eprintln!("wrote {}", path.display());
        Ok(())
    }

    pub(crate) fn print(&self) {
        println!();
        println!(
            "{:<26} {:>10} {:>10} {:>7}  unit",
            "name", "ours", "limit", "ratio"
        );
        for finding in &self.findings {
            let Finding {
                name,
                ours,
                limit,
                unit,
            } = finding;
            let ratio = ours / limit;
            println!("{name:<26} {ours:>10.0} {limit:>10.0} {ratio:>7.3}  {unit}");
        }
        println!();
        for note in &self.notes {
            println!("{note}");
        }
    }
}

/// The middle of the rounds; of an even number the lower of the two in the middle.
pub(crate) fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    let middle = rounds.len().saturating_sub(1) / 2;
    rounds.get(middle).copied().unwrap_or(f64::NAN)
}
