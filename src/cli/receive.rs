//! `posthaste receive`: a receiver to look at what a webhook is, without installing one. It
//! speaks just enough HTTP/1.1 for that and is no part of the relay.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};

use super::{complain, runtime, say};

/// Where it listens unless told otherwise; what `serve` prints counts on it.
pub(super) const LISTEN: &str = "127.0.0.1:9000";
const LARGEST_HEAD: u64 = 64 * 1024;
const LARGEST_BODY: u64 = 32 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(super) struct ReceiveArgs {
    /// Address and port to listen on.
    #[arg(long, default_value = LISTEN)]
    listen: SocketAddr,
    /// Status to answer with, to see retries.
    #[arg(long, default_value_t = 204, value_parser = clap::value_parser!(u16).range(200..=599))]
    status: u16,
}

pub(super) fn run(args: &ReceiveArgs) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind(args.listen).await.with_context(|| {
            format!(
                "{} cannot be listened on; name another by --listen",
                args.listen
            )
        })?;
        say(&format!(
            "waiting for webhooks on http://{}/ (Ctrl-C ends)",
            listener.local_addr()?
        ));
        let status = args.status;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                match tokio::time::timeout(PATIENCE, receive(stream, status)).await {
                    Ok(Ok(text)) => say(&text),
                    Ok(Err(error)) => complain(&format!("a broken request: {error:#}")),
                    Err(_) => complain("a request did not arrive in time"),
                }
            });
        }
    })
}

async fn receive(mut stream: TcpStream, status: u16) -> anyhow::Result<String> {
    let (head, body) = read_request(BufReader::new(&mut stream)).await?;
    let answer =
        format!("HTTP/1.1 {status} Received\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // A 204 must not name a length.
    let answer = if status == 204 {
        answer.replace("content-length: 0\r\n", "")
    } else {
        answer
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(format!("\n{head}\n{}", String::from_utf8_lossy(&body)))
}

/// Head and body of one request whose body comes with its length.
async fn read_request(reader: impl AsyncBufRead + Unpin) -> anyhow::Result<(String, Vec<u8>)> {
    let mut reader = reader.take(LARGEST_HEAD);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            bail!("it ended within its headers");
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().context("content-length")?;
        }
        head.push_str(line);
        head.push('\n');
    }
    if length > LARGEST_BODY {
        bail!("its body is larger than {LARGEST_BODY} bytes");
    }
    reader.set_limit(length);
    let mut body = Vec::new();
    reader.read_to_end(&mut body).await?;
    Ok((head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_head_and_body() {
        let request = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nwebhook-id: a\r\n\r\n{}rest";
        let (head, body) = read_request(&request[..]).await.unwrap();
        assert_eq!(head, "POST / HTTP/1.1\nContent-Length: 2\nwebhook-id: a\n");
        assert_eq!(body, b"{}");
        assert!(read_request(&b"POST / HTTP/1.1\r\n"[..]).await.is_err());
    }
}
