//! Reads a page: which blocks are to be run, and what is shown of their answers. Nothing that
//! looks like a command gets by unread.

/// A page, from its top to its end.
#[derive(Debug)]
pub struct Page {
    pub steps: Vec<Step>,
}

/// What a reader does, or looks at.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Types this.
    Run(Block),
    /// Starts this in another terminal, where it goes on.
    Aside(Block),
    /// Does not: the reason stands beside it.
    NotRun(Block),
    /// Looks at the other terminals.
    Elsewhere(Block),
}

/// A fenced block.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The line of its first line, from 1.
    pub line: usize,
    pub text: String,
    /// How its last request is answered, where that is not 2xx.
    pub status: Option<u16>,
    /// The answer that is shown below.
    pub answer: Option<Answer>,
}

/// What a block prints.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub line: usize,
    pub text: String,
    pub is_json: bool,
}

/// Words that begin a command.
const COMMANDS: [&str; 11] = [
    "curl",
    "posthaste",
    "target/debug/posthaste",
    "make",
    "docker",
    "export",
    "openssl",
    "cp",
    "KEY=",
    "ID=",
    "$",
];

impl Page {
    /// The steps, or what is wrong with the page itself.
    pub fn read(text: &str) -> Result<Self, Vec<String>> {
        let (mut steps, mut faults) = (Vec::new(), Vec::new());
        let lines: Vec<&str> = text.lines().collect();
        // Whether the last thing above, blank lines aside, is a block whose answer may follow.
        let mut below_a_block = false;
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            if let Some(info) = line.strip_prefix("```") {
                let length = lines[at + 1..].iter().position(|line| *line == "```");
                let Some(length) = length else {
                    faults.push(format!("line {}: the block is never closed", at + 1));
                    break;
                };
                let body = &lines[at + 1..at + 1 + length];
                match fenced(info, at + 2, body, below_a_block, &mut steps) {
                    Ok(goes_on) => below_a_block = goes_on,
                    Err(fault) => faults.push(format!("line {}: {fault}", at + 1)),
                }
                at += length + 2;
                continue;
            }
            let indented = line.starts_with("    ") || line.starts_with('\t');
            if indented && at > 0 && lines[at - 1].trim().is_empty() {
                faults.push(format!("line {}: indented code; fence it", at + 1));
            }
            if !line.trim().is_empty() {
                below_a_block = false;
            }
            at += 1;
        }
        match faults.is_empty() {
            true => Ok(Self { steps }),
            false => Err(faults),
        }
    }
}

/// Takes a fenced block; whether its answer may follow.
fn fenced(
    info: &str,
    line: usize,
    body: &[&str],
    below_a_block: bool,
    steps: &mut Vec<Step>,
) -> Result<bool, String> {
    let text: String = body.iter().flat_map(|line| [*line, "\n"]).collect();
    let block = Block {
        line,
        text,
        ..Block::default()
    };
    let (language, how) = info.split_once(' ').unwrap_or((info, ""));
    match (language, how) {
        ("", _) => Err("a block without a language".to_owned()),
        ("sh", _) => {
            steps.push(shell(how, block)?);
            Ok(matches!(steps.last(), Some(Step::Run(_))))
        }
        ("text", "in another terminal") => {
            steps.push(Step::Elsewhere(block));
            Ok(false)
        }
        ("json" | "text", "") if below_a_block => {
            let Some(Step::Run(above)) = steps.last_mut() else {
                return Err("an answer to nothing".to_owned());
            };
            above.answer = Some(Answer {
                line,
                text: block.text,
                is_json: language == "json",
            });
            Ok(false)
        }
        (_, "") => match body.iter().find(|line| is_command(line)) {
            Some(line) => Err(format!("commands stand in blocks of sh: {line}")),
            None => Ok(false),
        },
        _ => Err(format!("{info:?} says nothing that is known")),
    }
}

fn shell(how: &str, block: Block) -> Result<Step, String> {
    if how.is_empty() {
        return Ok(Step::Run(block));
    }
    if how == "in another terminal" {
        return Ok(Step::Aside(block));
    }
    if let Some(reason) = how.strip_prefix("not run:") {
        return match reason.trim() {
            "" => Err("why it is not run is not said".to_owned()),
            _ => Ok(Step::NotRun(block)),
        };
    }
    let status = how
        .strip_prefix("answers ")
        .and_then(|code| code.parse().ok());
    match status {
        Some(status) => Ok(Step::Run(Block {
            status: Some(status),
            ..block
        })),
        None => Err(format!(
            "{how:?} says nothing that is known of a block of sh"
        )),
    }
}

fn is_command(line: &str) -> bool {
    let line = line.trim_start();
    COMMANDS.iter().any(|word| match word.strip_suffix('=') {
        Some(_) => line.starts_with(word),
        None => line.split_whitespace().next() == Some(*word),
    })
}

/// Where links lead, of those that stay within the repository.
pub fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .filter(|target| !target.contains("://") && !target.contains(char::is_whitespace))
        .collect()
}

/// The anchors of a page's headings, as code hosts make them.
pub fn anchors(text: &str) -> Vec<String> {
    let mut in_block = false;
    let headings = text.lines().filter(|line| {
        in_block ^= line.starts_with("```");
        !in_block && line.starts_with('#')
    });
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        Page::read(text).unwrap_err().join("\n")
    }

    #[test]
    fn blocks_are_told_apart_and_answers_belong_to_what_stands_above() {
        let text = "# Page\n\n```sh\ncurl a\n```\n\n```json\n{}\n```\n\nThen\n\n\
            ```sh answers 409\ncurl b\n```\n\nit says\n\n```json\n{}\n```\n\n\
            ```sh in another terminal\nposthaste receive\n```\n\n\
            ```text in another terminal\nPOST /\n```\n\n\
            ```sh not run: it takes an hour\nmake chaos\n```\n";
        let steps = Page::read(text).unwrap().steps;
        let [
            Step::Run(first),
            Step::Run(second),
            Step::Aside(aside),
            Step::Elsewhere(seen),
            Step::NotRun(_),
        ] = steps.as_slice()
        else {
            panic!("{steps:?}");
        };
        let answer = first.answer.as_ref().unwrap();
        assert_eq!((first.line, first.text.as_str()), (4, "curl a\n"));
        assert_eq!((answer.line, answer.is_json), (8, true));
        // Words between part an example from its block.
        assert_eq!((second.status, &second.answer), (Some(409), &None));
        assert_eq!(
            (aside.text.as_str(), seen.text.as_str()),
            ("posthaste receive\n", "POST /\n")
        );
    }

    #[test]
    fn nothing_that_looks_like_a_command_gets_by() {
        assert!(faults("x\n\n    curl http://a\n").contains("line 3: indented code"));
        assert!(faults("```\ncurl http://a\n```\n").contains("without a language"));
        assert!(faults("```text\nKEY=a\n```\n").contains("blocks of sh"));
        assert!(faults("```text\n  posthaste keys list\n```\n").contains("blocks of sh"));
        assert!(faults("```sh not run:\nmake\n```\n").contains("is not said"));
        assert!(faults("```sh sometimes\nmake\n```\n").contains("nothing that is known"));
        assert!(faults("```sh\ncurl a\n").contains("never closed"));
    }

    #[test]
    fn links_and_headings() {
        let text = "# A page\n[a](b.md#c) [web](https://x.example/#y) [d](e.toml)\n```sh\n# no\n```\n## Why, 5 `xx`?\n";
        assert_eq!(links(text), ["b.md#c", "e.toml"]);
        assert_eq!(anchors(text), ["a-page", "why-5-xx"]);
    }
}
