//! What is wrong with the settings, said so that the reader can mend it without the source.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The embedded `config/default.toml`.
    Default,
    /// The file given by `--config`.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
    /// `--dev`, on top of what another source had set.
    Dev(Option<Box<Source>>),
    /// A flag that stands for one setting.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Dev(None) => f.write_str("--dev"),
            Self::Dev(Some(under)) => write!(f, "{under}, and --dev"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One setting as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// `section.key`, or a name that is not known.
    pub key: String,
    /// Its value, masked where it is or may be a secret; `None` where there is no single value.
    pub value: Option<String>,
    /// Who said so.
    pub source: Source,
}

/// One thing that stops the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The settings involved: one, or those that contradict each other.
    pub given: Vec<Given>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for given in &self.given {
            match &given.value {
                Some(value) => writeln!(f, "  {} = {value} ({})", given.key, given.source)?,
                None => writeln!(f, "  {} ({})", given.key, given.source)?,
            }
        }
        writeln!(f, "    {}", self.problem)?;
        write!(f, "    fix: {}", self.fix)
    }
}

/// Everything that is wrong, so that it can be mended in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the settings have a fault, Posthaste does not start")?,
            count => write!(
                f,
                "the settings have {count} faults, Posthaste does not start"
            )?,
        }
        for fault in &self.0 {
            write!(f, "\n\n{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
