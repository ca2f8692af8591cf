//! Reads a page from its top and says what is not true on it.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use crate::page::{Answer, Block, Page, Step};
use crate::shown::{self, Ids};
use crate::terminal::{Beside, PATIENCE, Place, Terminal, Typed};

/// The ports on the pages: the relay's, its receiver's, and another receiver's.
const PORTS: [u16; 3] = [8080, 9000, 9001];
/// As `make run` starts it, but built before.
const RELAY: &str = "exec target/debug/posthaste serve --dev";
const RECEIVE: &str = "posthaste receive";

/// What is wrong with this page; nothing where all is as it says.
pub fn faults(name: &str, text: &str) -> Vec<String> {
    read(name, |_| Page::read(text))
}

/// What is wrong with the commands that the relay prints at its start.
pub fn faults_of_the_welcome() -> Vec<String> {
    read("what the relay prints", |relay| {
        let printed = relay.shows("All routes: …", &mut Ids::default());
        let printed = printed.map_err(|fault| vec![fault])?;
        let commands = printed.iter().filter_map(|line| line.strip_prefix("  "));
        let is_typed = |line: &&str| line.starts_with("KEY=") || line.starts_with("curl");
        let typed: Vec<&str> = commands.clone().filter(is_typed).collect();
        let receive = commands.clone().find(|line| line.ends_with(RECEIVE));
        match (receive, typed.len()) {
            (Some(receive), 4) => Page::read(&format!(
                "```sh in another terminal\n{receive}\n```\n\n```sh\n{}\n```\n\n\
                 ```text in another terminal\nPOST / HTTP/1.1\n```\n",
                typed.join("\n")
            )),
            _ => Err(vec![format!("it prints other commands: {printed:?}")]),
        }
    })
}

fn read(name: &str, page: impl FnOnce(&mut Beside) -> Result<Page, Vec<String>>) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let ports = Ports::free();
    let place = Place::new(directory.path(), &ports.apply("127.0.0.1:8080"));
    let mut relay = match Beside::start(&place, "relay", RELAY) {
        Ok(relay) => relay,
        Err(fault) => return vec![format!("the relay does not start: {fault}")],
    };
    let page = match page(&mut relay) {
        Ok(page) => page,
        Err(faults) => return faults,
    };
    let mut reader = Reader {
        ports,
        place: &place,
        terminal: Terminal::open(&place),
        beside: Vec::new(),
        ids: Ids::default(),
    };
    let mut faults = Vec::new();
    for step in &page.steps {
        let (line, taken) = match step {
            Step::Run(block) => (block.line, reader.run(block)),
            Step::Aside(block) => (block.line, reader.start(block)),
            Step::Elsewhere(block) => (block.line, reader.looks(block)),
            Step::NotRun(_) => continue,
        };
        if let Err(fault) = taken {
            faults.push(format!("{name}:{line}: {}", fault.what));
            if fault.ends_the_page {
                break;
            }
        }
    }
    faults
}

struct Reader<'a> {
    ports: Ports,
    place: &'a Place,
    terminal: Terminal<'a>,
    beside: Vec<Beside>,
    ids: Ids,
}

struct Fault {
    what: String,
    /// What comes after it would fail, too.
    ends_the_page: bool,
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Self {
            what,
            ends_the_page: false,
        }
    }
}

impl Reader<'_> {
    fn run(&mut self, block: &Block) -> Result<(), Fault> {
        let text = self.ports.apply(&block.text);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let typed = self.terminal.types(&text);
            if !typed.succeeded {
                let what = format!("a command failed\n{}{}", typed.printed, typed.complained);
                return Err(Fault {
                    what,
                    ends_the_page: true,
                });
            }
            let wrong = match answered(block, &typed) {
                Ok(()) => match &block.answer {
                    Some(answer) => self.compare(answer, &typed),
                    None => return Ok(()),
                },
                Err(wrong) => Err(wrong),
            };
            match wrong {
                Ok(()) => return Ok(()),
                Err(_) if only_looks(&block.text) && Instant::now() < deadline => {}
                Err(wrong) => {
                    let came = format!("{wrong}\ncame: {}{}", typed.printed, typed.complained);
                    return Err(came.into());
                }
            }
        }
    }

    fn compare(&mut self, answer: &Answer, typed: &Typed) -> Result<(), String> {
        let text = self.ports.apply(&answer.text);
        // What was learnt from an answer that is not the one shown is not kept.
        let mut ids = self.ids.clone();
        let faults = match answer.is_json {
            true => shown::json(&text, &typed.printed, &mut ids),
            false => {
                let came = shown::lines(&text, typed.printed.lines(), &mut ids);
                came.err().into_iter().collect()
            }
        };
        if faults.is_empty() {
            self.ids = ids;
            return Ok(());
        }
        Err(format!(
            "the answer in line {}: {}",
            answer.line,
            faults.join("; ")
        ))
    }

    fn start(&mut self, block: &Block) -> Result<(), Fault> {
        let name = format!("beside-{}", block.line);
        let started = Beside::start(self.place, &name, &self.ports.apply(&block.text));
        self.beside.push(started.map_err(|what| Fault {
            what,
            ends_the_page: true,
        })?);
        Ok(())
    }

    /// Looks at the terminal that was opened last.
    fn looks(&mut self, block: &Block) -> Result<(), Fault> {
        let text = self.ports.apply(&block.text);
        match self.beside.last_mut() {
            Some(beside) => {
                beside.shows(&text, &mut self.ids)?;
                Ok(())
            }
            None => Err("there is no other terminal".to_owned().into()),
        }
    }
}

/// Every request is answered 2xx, but the last one where something else is expected.
fn answered(block: &Block, typed: &Typed) -> Result<(), String> {
    let Typed { statuses, .. } = typed;
    let (last, before) = match (block.status, statuses.split_last()) {
        (Some(wanted), Some((last, before))) => (Some((wanted, *last)), before),
        (Some(_), None) => return Err("an answer is expected, and nothing was asked".to_owned()),
        (None, _) => (None, statuses.as_slice()),
    };
    if let Some((wanted, came)) = last
        && wanted != came
    {
        return Err(format!("expected is {wanted}, {came} came"));
    }
    match before.iter().find(|status| !(200..300).contains(*status)) {
        Some(status) => Err(format!("a request was answered {status}")),
        None => Ok(()),
    }
}

/// Whether it may be run again: nothing in it makes or changes anything.
fn only_looks(text: &str) -> bool {
    let changes = ["-X", "-d '", "-d \"", "--data", "posthaste "];
    text.contains("-G ") || !changes.iter().any(|word| text.contains(word))
}

/// The ports of a page, and those that stand for them.
struct Ports([(u16, u16); 3]);

impl Ports {
    /// Free ones below those that the system gives to connections, so that they stay free until
    /// a page uses them.
    fn free() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let first = u16::try_from(std::process::id() % 8_000).unwrap();
        let mut candidates = std::iter::from_fn(|| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            Some(20_000 + (first + number) % 12_000)
        });
        let mut free = || {
            let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
            candidates.find(is_free).unwrap()
        };
        Self(PORTS.map(|port| (port, free())))
    }

    fn apply(&self, text: &str) -> String {
        // The command line's own default is one of them.
        let receive = format!("{RECEIVE} --listen 127.0.0.1:9000");
        let text = text.replace(RECEIVE, &receive);
        let named = format!("{receive} --listen 127.0.0.1:9001");
        let text = text.replace(&named, &format!("{RECEIVE} --listen 127.0.0.1:9001"));
        self.0.iter().fold(text, |text, (shown, real)| {
            text.replace(&format!("127.0.0.1:{shown}"), &format!("127.0.0.1:{real}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that begins as the README does.
    fn broken(rest: &str) -> String {
        let page = format!("# A page\n\n```sh\nKEY=$(cat data/admin.key)\n```\n\n{rest}");
        faults("page.md", &page).join("\n")
    }

    const LIST: &str = "curl -sS http://127.0.0.1:8080/api/v1/subscriptions -H \"X-API-Key: $KEY\"";

    #[test]
    fn a_true_page_has_no_fault() {
        let told = broken(&format!(
            "```sh\n{LIST}\n```\n\n```json\n{{\"data\": [], \"limit\": 50, …}}\n```\n\n\
             ```sh answers 400\n{LIST} -d '{{}}'\n```\n\n```json\n{{\"code\": \"invalid-body\", …}}\n```\n\n\
             ```sh in another terminal\ntarget/debug/posthaste receive\n```\n\n\
             ```sh\ncurl -sS http://127.0.0.1:9000/ -d 'hello'\n```\n\n\
             ```text in another terminal\nPOST / HTTP/1.1\nHost: …\nhello\n```\n"
        ));
        assert_eq!(told, "");
    }

    #[test]
    fn an_answer_that_is_no_success_is_a_fault() {
        let told = broken(&format!("```sh\n{LIST} -d '{{}}'\n```\n"));
        assert!(
            told.contains("page.md:8: a request was answered 400"),
            "{told}"
        );
        assert!(told.contains("invalid-body"), "{told}");
        let told = broken(&format!("```sh answers 404\n{LIST} -d '{{}}'\n```\n"));
        assert!(told.contains("expected is 404, 400 came"), "{told}");
    }

    #[test]
    fn an_answer_that_is_not_the_one_shown_is_a_fault() {
        let made = format!(
            "{LIST} -d '{{\"name\":\"first\",\"url\":\"http://127.0.0.1:9000/\",\"eventTypes\":[\"*\"]}}'"
        );
        let told = broken(&format!(
            "```sh\n{made}\n```\n\n```json\n{{\"name\": \"second\", \"colour\": …, …}}\n```\n"
        ));
        assert!(told.contains(".name: shown is"), "{told}");
        assert!(told.contains(".colour is shown and did not come"), "{told}");
        let told = broken(&format!(
            "```sh\n{made}\n```\n\n```json\n{{\"name\": \"first\"}}\n```\n"
        ));
        assert!(told.contains(".secret came and is not shown"), "{told}");
    }

    #[test]
    fn a_command_that_fails_is_a_fault_and_ends_the_page() {
        let told = broken("```sh\nposthast receive\n```\n\n```sh\nfalse\n```\n");
        assert!(told.contains("page.md:8: a command failed"), "{told}");
        assert!(
            told.contains("posthast") && !told.contains("page.md:12"),
            "{told}"
        );
        let told = broken("```sh\ncurl -sS http://127.0.0.1:9001/\n```\n");
        assert!(told.contains("a command failed"), "{told}");
    }

    #[test]
    fn only_what_changes_nothing_is_run_again() {
        assert!(only_looks(LIST) && only_looks("curl -G http://a -d q=1"));
        assert!(!only_looks("curl -X POST http://a") && !only_looks("curl http://a -d '{}'"));
        assert!(!only_looks("posthaste keys revoke 1"));
    }

    #[test]
    fn ports_are_replaced_everywhere() {
        let ports = Ports([(8080, 1), (9000, 2), (9001, 3)]);
        for (shown, real) in [
            (
                "http://127.0.0.1:8080/a 127.0.0.1:9000",
                "http://127.0.0.1:1/a 127.0.0.1:2",
            ),
            (
                "posthaste receive | tee a",
                "posthaste receive --listen 127.0.0.1:2 | tee a",
            ),
            (
                "posthaste receive --listen 127.0.0.1:9001 --status 500",
                "posthaste receive --listen 127.0.0.1:3 --status 500",
            ),
        ] {
            assert_eq!(ports.apply(shown), real);
        }
    }
}
