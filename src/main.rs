fn main() {
    let config = std::env::args().nth(1).expect("config");
    let options = daybook::daemon::Options { config: config.into(), state_dir: None, socket: None };
    if let Err(error) = daybook::daemon::run(&options, |_| eprintln!("ready")) {
        eprintln!("Error: {error}");
        std::process::exit(1);
    }
}
