//! The table at the end, and which targets were met.

use std::collections::BTreeMap;

use crate::wire::Spread;

/// One line of the table.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub scenario: &'static str,
    pub subject: String,
    /// Deliveries a second.
    pub rate: f64,
    /// Microseconds per delivery: the relay or the floor, Postgres, Redis.
    pub cpu: [Option<f64>; 3],
    /// Due time to acknowledgement, and to receipt.
    pub latency: Option<(Spread, Spread)>,
    /// Most resident memory of the relay or the floor, in bytes.
    pub memory: Option<u64>,
    pub lost: u64,
    pub twice: u64,
    pub refused: u64,
}

impl Row {
    /// The row with its names.
    pub fn named(self, scenario: &'static str, subject: impl Into<String>) -> Self {
        Self {
            scenario,
            subject: subject.into(),
            ..self
        }
    }

    fn cpu_sum(&self) -> Option<f64> {
        self.cpu[0]?;
        Some(self.cpu.iter().flatten().sum())
    }
}

/// Whether a figure is within its bound.
struct Verdict {
    what: String,
    figure: f64,
    bound: f64,
    /// Whether more is better.
    at_least: bool,
}

/// All that a run found out.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
    verdicts: Vec<Verdict>,
}

/// What the target of a scenario asks of a profile.
pub struct Target {
    pub profile: &'static str,
    /// Share of the bare loop's rate, at least.
    pub of_bare: f64,
    /// Microseconds per delivery, at most.
    pub cpu: f64,
}

impl Report {
    /// Takes in a row and says at once what it holds.
    pub fn row(&mut self, row: Row) {
        eprintln!("{}", cells(&row, None, None).join("  "));
        if row.refused > 0 {
            let (scenario, subject, refused) = (row.scenario, &row.subject, row.refused);
            self.note(format!(
                "{scenario}, {subject}: {refused} times a sender heard 503 and sent again"
            ));
        }
        self.rows.push(row);
    }

    /// Takes in something worth reading beside the table.
    pub fn note(&mut self, text: String) {
        eprintln!("{text}");
        self.notes.push(text);
    }

    /// Holds a figure against the least that is wanted.
    pub fn at_least(&mut self, what: impl Into<String>, figure: f64, bound: f64) {
        self.verdicts.push(Verdict {
            what: what.into(),
            figure,
            bound,
            at_least: true,
        });
    }

    /// Holds a figure against the most that is wanted.
    pub fn at_most(&mut self, what: impl Into<String>, figure: f64, bound: f64) {
        self.verdicts.push(Verdict {
            what: what.into(),
            figure,
            bound,
            at_least: false,
        });
    }

    /// The median, by rate, of what was measured of a subject.
    pub fn median(&self, scenario: &str, subject: &str) -> Option<&Row> {
        let of_it = |row: &&Row| row.scenario == scenario && row.subject == subject;
        let mut rows: Vec<&Row> = self.rows.iter().filter(of_it).collect();
        rows.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        rows.get(rows.len() / 2).copied()
    }

    /// Holds a scenario's relays against the bare loop, the floor and the targets.
    pub fn judge(&mut self, scenario: &str, targets: &[Target]) {
        for profile in ["embedded", "distributed"] {
            let Some(relay) = self.median(scenario, &format!("relay {profile}")).cloned() else {
                continue;
            };
            let cpu = relay.cpu_sum().unwrap_or_default();
            if let Some(target) = targets.iter().find(|target| target.profile == profile) {
                let bare = self
                    .median(scenario, "bare loop")
                    .map_or(f64::NAN, |row| row.rate);
                self.at_least(
                    format!("{scenario}, {profile}: rate / bare loop"),
                    relay.rate / bare,
                    target.of_bare,
                );
                self.at_most(format!("{scenario}, {profile}: CPU µs"), cpu, target.cpu);
            }
            if let Some(floor) = self.median(scenario, &format!("floor {profile}")).cloned() {
                self.at_least(
                    format!("{scenario}, {profile}: rate / floor"),
                    relay.rate / floor.rate,
                    0.8,
                );
                let floor_cpu = floor.cpu_sum().unwrap_or_default();
                self.at_most(
                    format!("{scenario}, {profile}: CPU / floor"),
                    cpu / floor_cpu,
                    1.25,
                );
            }
        }
    }

    /// The table, in Markdown.
    pub fn print(&self) {
        let mut order: Vec<(&str, &str)> = Vec::new();
        for row in &self.rows {
            if !order.contains(&(row.scenario, row.subject.as_str())) {
                order.push((row.scenario, &row.subject));
            }
        }
        let mut lines = vec![HEADS.map(str::to_owned).to_vec()];
        for (scenario, subject) in order {
            let row = self.median(scenario, subject).expect("a row");
            let bare = self.median(scenario, "bare loop");
            let profile = subject.split(' ').nth(1).unwrap_or_default();
            let floor = self.median(scenario, &format!("floor {profile}"));
            lines.push(cells(row, bare, floor));
        }
        print_table(&lines);
        println!();
        for note in &self.notes {
            println!("{note}");
        }
        if self.verdicts.is_empty() {
            return;
        }
        let mut lines = vec![["", "figure", "target", ""].map(str::to_owned).to_vec()];
        for verdict in &self.verdicts {
            let met = if verdict.at_least {
                verdict.figure >= verdict.bound
            } else {
                verdict.figure <= verdict.bound
            };
            let sign = if verdict.at_least { "≥" } else { "≤" };
            let word = if met { "met" } else { "missed" };
            lines.push(vec![
                verdict.what.clone(),
                short(verdict.figure),
                format!("{sign} {}", short(verdict.bound)),
                word.to_owned(),
            ]);
        }
        println!();
        print_table(&lines);
    }

    /// Whether any event was lost.
    pub fn lost_any(&self) -> bool {
        self.rows.iter().any(|row| row.lost > 0)
    }
}

const HEADS: [&str; 13] = [
    "scenario",
    "what",
    "per s",
    "/ bare",
    "/ floor",
    "µs own",
    "µs Postgres",
    "µs Redis",
    "due → ack, ms",
    "due → receipt, ms",
    "MiB",
    "lost",
    "twice",
];

fn cells(row: &Row, bare: Option<&Row>, floor: Option<&Row>) -> Vec<String> {
    let ratio = |other: Option<&Row>| {
        other.map_or_else(String::new, |other| format!("{:.2}", row.rate / other.rate))
    };
    let micros = |cpu: Option<f64>| cpu.map_or_else(String::new, |cpu| format!("{cpu:.0}"));
    let spread = |spread: Option<Spread>| spread.map_or_else(String::new, in_milliseconds);
    vec![
        row.scenario.to_owned(),
        row.subject.clone(),
        format!("{:.0}", row.rate),
        ratio(bare),
        ratio(floor),
        micros(row.cpu[0]),
        micros(row.cpu[1]),
        micros(row.cpu[2]),
        spread(row.latency.map(|(ack, _)| ack)),
        spread(row.latency.map(|(_, receipt)| receipt)),
        row.memory
            .map_or_else(String::new, |bytes| format!("{:.0}", mebibytes(bytes))),
        row.lost.to_string(),
        row.twice.to_string(),
    ]
}

/// p50 / p90 / p99 / max.
pub fn in_milliseconds(spread: Spread) -> String {
    let parts =
        [spread.p50, spread.p90, spread.p99, spread.max].map(|part| short(part as f64 / 1e3));
    parts.join(" / ")
}

/// Bytes in MiB.
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// Three figures that count.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn print_table(lines: &[Vec<String>]) {
    let mut widths = BTreeMap::new();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            let width = widths.entry(column).or_insert(0);
            *width = cell.chars().count().max(*width);
        }
    }
    for (number, line) in lines.iter().enumerate() {
        let padded = line.iter().enumerate().map(|(column, cell)| {
            let width = widths[&column];
            // Names to the left, figures to the right.
            match column {
                0 | 1 if line.len() > 4 => format!("{cell:<width$}"),
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            }
        });
        println!("| {} |", padded.collect::<Vec<_>>().join(" | "));
        if number == 0 {
            let rules = widths.values().map(|width| "-".repeat(*width));
            println!("| {} |", rules.collect::<Vec<_>>().join(" | "));
        }
    }
}
