//! The real binary, as people and supervisors meet it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

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
