//! Tests that lists find the right operations, and read few rows.

use rusqlite::{Connection, StatementStatus};

use super::*;
use crate::{
    domain::{OperationId, Resource},
    journal::sqlite::SCHEMA,
};

/// Far more steps than a list of a few rows needs, and far fewer than one that reads all rows.
const MOST_STEPS: i32 = 4000;

/// A journal of `count` operations with this outcome, on one vNIC, by one caller, under one request id. There
/// is also one operation with each other outcome, of another vNIC, caller and request id.
fn journal(count: i64, outcome: Outcome) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    let filed = "INSERT INTO operations VALUES (?1, 'op-' || ?1, ?1, 0, 0, 'a', ?2, ?3, ?4, 0, ?5)";
    let named = "INSERT INTO resources VALUES ('nic/' || ?1, ?2, ?3, ?4)";
    let put = |seq: i64, names: [&str; 3], outcome: Outcome| {
        let [caller, nic, request] = names;
        let (label, class) = (outcome.label(), class(outcome));
        let mut filed = connection.prepare_cached(filed).unwrap();
        filed.execute((seq, caller, request, label, class)).unwrap();
        let mut named = connection.prepare_cached(named).unwrap();
        named.execute((nic, class, seq, caller)).unwrap();
    };
    for seq in 1..=count {
        put(seq, ["corp/mallory", "busy", "same"], outcome);
    }
    let others = Outcome::ALL.into_iter().filter(|other| *other != outcome);
    for (outcome, seq) in others.zip(count + 1..) {
        put(seq, ["corp/alice", "quiet", "other"], outcome);
    }
    connection
}

/// Every filter, with values that the many operations have and with values that they do not have.
fn filters() -> Vec<Filter> {
    let texts = |one: &str, other: &str| [None, Some(one.to_owned()), Some(other.to_owned())];
    let outcomes = Outcome::ALL.into_iter().map(Some).chain([None]);
    let mut filters = Vec::new();
    for outcome in outcomes {
        for caller in texts("corp/mallory", "corp/bob") {
            for nic in texts("busy", "quiet") {
                for before in [None, Some(OperationId::new())] {
                    filters.push(Filter {
                        caller: caller.clone(),
                        resource: nic
                            .as_deref()
                            .map(|nic| Resource::parse(&format!("nic/{nic}")).unwrap()),
                        outcome,
                        before,
                        ..Filter::newest(21)
                    });
                }
            }
        }
    }
    filters
}

/// The intents in a list, and how many steps SQLite took to find them.
fn run(connection: &Connection, filter: &Filter) -> (Vec<i64>, i32) {
    let (sql, values) = query(filter);
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(0)).unwrap();
    let found = rows.map(Result::unwrap).collect();
    (found, statement.get_status(StatementStatus::VmStep))
}

#[test]
fn a_list_reads_about_as_many_rows_as_it_shows_whatever_it_is_searched_for() {
    for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Pending) {
        let connection = journal(5000, outcome);
        for filter in filters() {
            let (_, steps) = run(&connection, &filter);
            assert!(steps <= MOST_STEPS, "{steps} steps of {outcome:?}: {filter:?}");
        }
        for caller in ["corp/mallory", "corp/alice", "corp/bob"] {
            for request_id in ["same", "other", "none"] {
                let caller = Some(caller.to_owned());
                let request_id = Some(request_id.to_owned());
                let filter = Filter { caller, request_id, ..Filter::newest(21) };
                let (_, steps) = run(&connection, &filter);
                assert!(steps <= MOST_STEPS, "{steps} steps: {filter:?}");
            }
        }
    }
}

/// Only its reach bounds a search by request id that finds little: however many operations have the id, it takes the
/// same steps.
#[test]
fn a_search_by_request_id_takes_the_same_steps_however_many_operations_have_it() {
    let (some, more) = (journal(3000, Outcome::Rejected), journal(6000, Outcome::Rejected));
    for mut filter in filters().into_iter().filter(|filter| filter.before.is_none()) {
        filter.request_id = Some("same".to_owned());
        let (steps, again) = (run(&some, &filter).1, run(&more, &filter).1);
        assert!(again <= steps + 100, "{steps} and {again} steps: {filter:?}");
    }
}

#[test]
fn every_filter_finds_what_a_look_at_each_row_would_find() {
    let connection = journal(40, Outcome::Rejected);
    for mut filter in filters().into_iter().filter(|filter| filter.before.is_none()) {
        filter.limit = 7;
        let (found, _) = run(&connection, &filter);
        let plain = "SELECT seq FROM operations p WHERE coalesce(caller = ?1, 1) AND (?2 IS NULL OR EXISTS (SELECT 1 FROM resources r WHERE r.seq = p.seq AND r.resource = ?2)) AND coalesce(outcome = ?3, 1) ORDER BY seq DESC LIMIT 7";
        let mut statement = connection.prepare(plain).unwrap();
        let resource = filter.resource.as_ref().map(ToString::to_string);
        let values = (&filter.caller, resource, filter.outcome.map(Outcome::label));
        let rows = statement.query_map(values, |row| row.get(0)).unwrap();
        let expected: Vec<i64> = rows.map(Result::unwrap).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}
