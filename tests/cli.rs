//! The real binary, as people and supervisors meet it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

fn posthaste(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_posthaste"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn config_prints_what_is_in_force_without_its_secrets() {
    let environment = [
        ("DATABASE_URL", "postgres://relay:hunter2@db/relay"),
        ("POSTHASTE_ADMIN_KEY", "hunter2-hunter2-hunter2"),
        ("PORT", "9000"),
    ];
    let output = posthaste(&["config"], &environment);
    let printed = text(&output.stdout);
    assert!(output.status.success());
    assert!(
        printed.contains("listen = \"0.0.0.0:9000\" # environment PORT"),
        "{printed}"
    );
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.parse::<toml::Table>().is_ok(), "{printed}");
}

#[test]
fn serve_refuses_faulty_settings_and_touches_nothing() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("posthaste.toml");
    let data = root.path().join("data");
    std::fs::write(&file, "[delivery]\ntimeout_ms = 5\nproxy = \"http://p\"\n").unwrap();
    let environment = [
        ("POSTHASTE_DATA_DIR", data.to_str().unwrap()),
        ("POSTHASTE_ADMIN_KEY", "hunter2"),
    ];
    let output = posthaste(&["serve", "--config", file.to_str().unwrap()], &environment);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "3 faults",
        "delivery.timeout_ms = 5",
        "delivery.proxy",
        "auth.admin_key",
    ] {
        assert!(message.contains(part), "{part:?} is not in:\n{message}");
    }
    assert!(!message.contains("hunter2"), "{message}");
    assert!(!data.exists());
}

#[test]
fn health_tells_by_its_exit_code() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in ["200 OK", "503 Service Unavailable"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            asked.push(lines.next().unwrap().unwrap());
            while !lines.next().unwrap().unwrap().is_empty() {}
            let head =
                format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
        }
        asked
    });
    let configured = [("POSTHASTE_LISTEN", address.as_str())];
    assert_eq!(posthaste(&["health"], &configured).status.code(), Some(0));
    let url = format!("http://{address}/");
    assert_eq!(
        posthaste(&["health", "--url", &url], &[]).status.code(),
        Some(1)
    );
    assert_eq!(server.join().unwrap(), ["GET /health/ready HTTP/1.1"; 2]);
    // Nobody listens there any more.
    assert_eq!(posthaste(&["health"], &configured).status.code(), Some(1));
}

#[test]
fn keys_asked_for_in_the_wrong_place_say_which_is_the_right_one() {
    let root = tempfile::tempdir().unwrap();
    let environment = [("POSTHASTE_DATA_DIR", root.path().to_str().unwrap())];
    let output = posthaste(&["keys", "list"], &environment);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    for part in ["admin.key", "POSTHASTE_DATA_DIR", "POSTHASTE_ADMIN_KEY"] {
        assert!(message.contains(part), "{part:?} is not in:\n{message}");
    }
}

#[test]
fn a_role_given_by_flag_wins_and_needs_postgres() {
    let environment = [
        ("DATABASE_URL", "postgres://db/relay"),
        ("POSTHASTE_ENGINE__ROLE", "deliver"),
    ];
    let output = posthaste(&["config", "--role", "ingest"], &environment);
    let printed = text(&output.stdout);
    assert!(printed.contains("role = \"ingest\" # --role"), "{printed}");
    let output = posthaste(&["serve", "--role", "ingest"], &[]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        message.contains("engine.role = \"ingest\" (--role)"),
        "{message}"
    );
    assert!(message.contains("DATABASE_URL"), "{message}");
    let output = posthaste(&["serve", "--role", "both"], &[]);
    assert!(text(&output.stderr).contains("all, ingest, deliver"));
}

/// The process that is ended with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_demo_shows_retries_and_a_breaker_that_opens_and_closes() {
    let scratch = tempfile::tempdir().unwrap();
    let demo = Command::new(env!("CARGO_BIN_EXE_posthaste"))
        .args("demo --listen 127.0.0.1:0 --rate 50 --speed 20".split(' '))
        .env_clear()
        // What is really used is left alone.
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
        .env("POSTHASTE_DATA_DIR", "/nowhere")
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::piped())
        .spawn();
    let mut demo = Running(demo.unwrap());
    let lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    let told: Vec<String> = lines
        .map(Result::unwrap)
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .collect();
    let watch = told.iter().find(|line| line.starts_with("Watch it"));
    let (_, link) = watch.unwrap().split_once("http://").unwrap();
    let (address, key) = link.split_once("/ui/sign-in#key=").unwrap();

    let url = format!("http://{address}/api/v1/stream?types=attempt.recorded,breaker.changed");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut stream = client.get(url).bearer_auth(key).send().await.unwrap();
    let mut awaited = BTreeSet::from([
        // One that limits, one that fails now and then, one that is gone.
        "\"status\":429",
        "\"status\":500",
        "\"errorKind\":\"connect",
        "\"number\":2",
        "\"trigger\":\"probe\"",
        "\"to\":\"open\"",
        "\"to\":\"closed\"",
    ]);
    let mut seen = String::new();
    while !awaited.is_empty() {
        let piece = stream.chunk().await.unwrap().expect("the demo goes on");
        seen.push_str(str::from_utf8(&piece).unwrap());
        while let Some((line, rest)) = seen.split_once('\n') {
            awaited.retain(|part| !line.contains(part));
            seen = rest.to_owned();
        }
    }

    let stop = Command::new("kill").arg(demo.0.id().to_string()).status();
    assert!(stop.unwrap().success());
    assert!(demo.0.wait().unwrap().success());
    let left = std::fs::read_dir(scratch.path()).unwrap().count();
    assert_eq!(left, 0, "the demo's data is gone with it");
}

#[tokio::test]
async fn a_demo_with_a_directory_goes_on_with_what_is_there() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("kept");
    let start = || {
        let demo = Command::new(env!("CARGO_BIN_EXE_posthaste"))
            .args("demo --listen 127.0.0.1:0 --data-dir".split(' '))
            .arg(&directory)
            .env_clear()
            .env("TMPDIR", scratch.path())
            .stdout(Stdio::piped())
            .spawn();
        let mut demo = Running(demo.unwrap());
        let mut told = String::new();
        for line in BufReader::new(demo.0.stdout.take().unwrap()).lines() {
            told.push_str(&line.unwrap());
            told.push('\n');
            if told.contains("Ctrl-C") {
                break;
            }
        }
        (demo, told)
    };
    let subscriptions = async |told: &str| {
        let (_, link) = told.split_once("http://").unwrap();
        let (address, key) = link.split_once("/ui/sign-in#key=").unwrap();
        let url = format!("http://{address}/api/v1/subscriptions");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(url).bearer_auth(key.split_once('\n').unwrap().0);
        let page: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        let ids = page["data"].as_array().unwrap().iter();
        ids.map(|one| one["id"].clone()).collect::<Vec<_>>()
    };

    let (demo, told) = start();
    let stays = format!(
        "Ctrl-C ends it, and its data stays in {}.",
        directory.display()
    );
    assert!(told.contains(&stays), "{told}");
    let made = subscriptions(&told).await;
    assert_eq!(made.len(), 5);
    drop(demo);
    let (_demo, told) = start();
    assert_eq!(subscriptions(&told).await, made);
}
