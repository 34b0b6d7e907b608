//! The house is tidy.

#[test]
fn the_house_is_tidy() {
    let problems = xtask::tidy::problems(xtask::workspace());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_generated_pages_are_up_to_date() {
    let stale = xtask::pages::stale(xtask::workspace());
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}
