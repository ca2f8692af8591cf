//! The `posthaste` binary; everything it does is in `posthaste::cli`.

/// See docs/adr/0013. Here rather than in the library: whoever embeds that has an allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    posthaste::cli::run()
}
