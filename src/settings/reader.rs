//! Reads typed values out of the layers and collects every fault on the way.
//!
//! A faulty key reads as its default, so that reading goes on; nothing comes of it, because one
//! fault already stops the start.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use toml::Value;

use super::fault::Fault;
use super::layers::Layers;

pub(super) struct Reader<'a> {
    layers: &'a Layers,
    defaults: Layers,
    pub(super) faults: Vec<Fault>,
    faulty: BTreeSet<&'static str>,
    /// Every key that was read with its bounds as the comments of default.toml must have them.
    pub(super) read: Vec<(&'static str, Option<String>)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: &'a Layers, faults: Vec<Fault>) -> Self {
        Self {
            layers,
            defaults: Layers::defaults(),
            faults,
            faulty: BTreeSet::new(),
            read: Vec::new(),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, key: &'static str, low: u64, high: u64) -> u64 {
        self.read.push((key, Some(format!("{low} to {high}"))));
        let value = self.layers.value(key).and_then(Value::as_integer);
        match value.and_then(|value| u64::try_from(value).ok()) {
            Some(value) if (low..=high).contains(&value) => value,
            _ => {
                self.out_of_bounds(key, &low, &high);
                let default = self.defaults.value(key).and_then(Value::as_integer);
                default
                    .and_then(|value| u64::try_from(value).ok())
                    .unwrap_or(low)
            }
        }
    }

    pub(super) fn size(&mut self, key: &'static str, low: u64, high: u64) -> usize {
        usize::try_from(self.number(key, low, high)).unwrap_or(usize::MAX)
    }

    pub(super) fn count(&mut self, key: &'static str, low: u32, high: u32) -> u32 {
        u32::try_from(self.number(key, low.into(), high.into())).unwrap_or(high)
    }

    pub(super) fn millis(&mut self, key: &'static str, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.number(key, low, high))
    }

    pub(super) fn fraction(&mut self, key: &'static str, low: f64, high: f64) -> f64 {
        self.read.push((key, Some(format!("{low:?} to {high:?}"))));
        match self.layers.value(key).and_then(Value::as_float) {
            Some(value) if (low..=high).contains(&value) => value,
            _ => {
                self.out_of_bounds(key, &low, &high);
                self.defaults
                    .value(key)
                    .and_then(Value::as_float)
                    .unwrap_or(low)
            }
        }
    }

    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.read.push((key, None));
        self.layers
            .value(key)
            .and_then(Value::as_bool)
            .unwrap_or_default()
    }

    pub(super) fn text(&mut self, key: &'static str) -> &'a str {
        self.read.push((key, None));
        self.layers
            .value(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Text, where it is not empty.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<&'a str> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    /// A list whose items may be written as text (in the environment) or as themselves.
    pub(super) fn list<T: FromStr>(&mut self, key: &'static str, wanted: &str) -> Vec<T> {
        self.read.push((key, None));
        let items = self.layers.value(key).and_then(Value::as_array);
        let mut parsed = Vec::new();
        for item in items.into_iter().flatten() {
            let text = item
                .as_str()
                .map_or_else(|| item.to_string(), str::to_owned);
            match text.parse() {
                Ok(item) => parsed.push(item),
                Err(_) => {
                    self.refuse(
                        key,
                        format!("its item {text:?} is not {wanted}"),
                        format!("write each item as {wanted}"),
                    );
                }
            }
        }
        parsed
    }

    /// A list of texts that nobody is to see.
    pub(super) fn secret_list(&mut self, key: &'static str) -> Vec<zeroize::Zeroizing<String>> {
        self.read.push((key, None));
        let items = self.layers.value(key).and_then(Value::as_array);
        let text = |item: &Value| item.as_str().unwrap_or_default().to_owned().into();
        items.into_iter().flatten().map(text).collect()
    }

    /// Records what is wrong with one key.
    pub(super) fn refuse(
        &mut self,
        key: &'static str,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.faulty.insert(key);
        let given = vec![self.layers.given(key)];
        self.faults.push(Fault {
            given,
            problem: problem.into(),
            fix: fix.into(),
        });
    }

    /// Records that keys contradict each other, unless one of them is faulty already: the
    /// values compared would not be the given ones.
    pub(super) fn contradiction(&mut self, keys: &[&'static str], problem: &str, fix: &str) {
        if !keys.iter().any(|key| self.faulty.contains(key)) {
            let given = keys.iter().map(|key| self.layers.given(key)).collect();
            self.faults.push(Fault {
                given,
                problem: problem.to_owned(),
                fix: fix.to_owned(),
            });
        }
    }

    /// Whether a key says anything else than its default, wherever it came from.
    pub(super) fn differs(&self, key: &str) -> bool {
        self.layers.value(key) != self.defaults.value(key)
    }

    fn out_of_bounds(&mut self, key: &'static str, low: &dyn Display, high: &dyn Display) {
        let unit = match key.rsplit('_').next() {
            Some("ms") => " milliseconds",
            Some("bytes") => " bytes",
            Some("hours") => " hours",
            _ => "",
        };
        let default = self.defaults.shown(key);
        self.refuse(
            key,
            format!("must be {low} to {high}{unit}"),
            format!(
                "give a value within these bounds, or remove it to keep the default, {default}"
            ),
        );
    }
}
