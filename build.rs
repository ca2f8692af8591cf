//! The migrations and the dashboard are compiled in; a new file among them has to be noticed.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    // Who builds without the dashboard gets a page that says how to build it. Cargo looks at what
    // exists only: a folder that is missing would make every build a full one. Where it cannot be
    // made, that is all that is lost.
    let _ = std::fs::create_dir_all("dashboard/dist");
    println!("cargo:rerun-if-changed=dashboard/dist");
}
