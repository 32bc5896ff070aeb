//! The other shipped example: a reward for every player who was active in the last week.

use crate::base::Base;
use crate::site::{Site, counts};

#[test]
fn everybody_who_was_active_is_rewarded_on_postgres() {
    Base::postgres().iter().for_each(everybody_who_was_active_is_rewarded);
}

#[test]
fn everybody_who_was_active_is_rewarded_on_mariadb() {
    Base::of(crate::servers::mariadb()).iter().for_each(everybody_who_was_active_is_rewarded);
}

fn everybody_who_was_active_is_rewarded(base: &Base) {
    let site = Site::population(base);
    // At whatever time of the day this is tested.
    let config = std::fs::read_to_string(site.place.config_file()).unwrap();
    assert!(config.contains("hours "), "the example has no hours");
    std::fs::write(site.place.config_file(), config.replace("hours ", "#hours ")).unwrap();
    site.run("create table player (id integer primary key, last_login_at timestamp, coins integer not null)");
    site.run("create table reward (player integer, day date, primary key (player, day))");
    for player in 1..=50 {
        let days = if player % 5 == 0 { 8 } else { player % 5 };
        site.run(&format!("insert into player values ({player}, current_timestamp - interval '{days}' day, 0)"));
    }
    let daemon = site.start();
    // The second one on the same day pays nobody again.
    for _ in 0..2 {
        let batch = site.json(&["batch", "start", "nightly-reward"])["id"].as_u64().unwrap();
        let shown = site.wait(&daemon, batch, "completed");
        assert_eq!((counts(&shown), &shown["total"]), ([40, 0, 0, 0, 0, 0], &40.into()));
    }
    assert_eq!(site.number("select count(*) from player where coins = 100 and mod(id, 5) <> 0"), 40);
    assert_eq!(site.number("select count(*) from player where coins = 0"), 10);
    daemon.stop();
}
