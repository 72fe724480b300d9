//! What a suite found, as a JSON file for machines and a table for people.

use kraiter_tests::artifacts;
use kraiter_tests::trouble::{Outcome, Trouble};
use serde_json::json;

/// One line: ours beside the limit.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// As `pixel/direct_response`: what was measured, beside which limit.
    name: String,
    /// Medians of the rounds.
    ours: f64,
    limit: f64,
    /// The median of the rounds' ratios: in one round both sides meet the same machine.
    ratio: f64,
    unit: &'static str,
}

impl Finding {
    /// From what each round found.
    pub(crate) fn new(
        name: impl Into<String>,
        ours: &[f64],
        limit: &[f64],
        unit: &'static str,
    ) -> Self {
        let ratios = ours.iter().zip(limit).map(|(ours, limit)| ours / limit);
        Self {
            name: name.into(),
            ours: median(ours.to_vec()),
            limit: median(limit.to_vec()),
            ratio: median(ratios.collect()),
            unit,
        }
    }
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
                    "ratio": (finding.ratio * 1000.0).round() / 1000.0,
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
                ratio,
                unit,
            } = finding;
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
