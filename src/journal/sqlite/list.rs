//! Which operations a list shows: found by the table `operations`, which has an index for each filter and
//! those beside it, so that a list reads about as many rows as it shows.

use rusqlite::{Connection, OptionalExtension, types::Value};

use crate::{domain::Outcome, journal::record::Filter};

/// Under which number an outcome is filed. An operation that is pending and one that is done are in
/// one class: most go from the one to the other, and no index has to be written for it.
pub(super) const fn class(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Pending | Outcome::Done => 0,
        Outcome::Unknown => 1,
        Outcome::Rejected => 2,
        Outcome::NotSent => 3,
        Outcome::NotDone => 4,
    }
}

const CLASSES: [i64; 5] = [0, 1, 2, 3, 4];

/// A query for the `seq` of the intents that a list shows, newest first, and its values.
pub(super) fn query(filter: &Filter) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut conditions = String::new();
    let mut only = |condition: &str, value: Option<String>| {
        if let Some(value) = value {
            values.push(Value::from(value));
            conditions.push_str(&condition.replace('?', &format!("?{}", values.len())));
        }
    };
    only(" AND caller = ?", filter.caller.clone());
    only(" AND nic = ?", filter.nic.as_ref().map(ToString::to_string));
    only(" AND request_id = ?", filter.request_id.clone());
    only(" AND outcome = ?", filter.outcome.map(|outcome| outcome.label().to_owned()));
    let before = filter.before.map(|id| id.to_string());
    only(" AND seq < (SELECT min(seq) FROM entries WHERE operation = ?)", before);
    values.push(i64::try_from(filter.limit).unwrap_or(i64::MAX).into());
    let limit = values.len();
    let arm = |(way, first): (String, String)| {
        format!(
            "SELECT seq FROM (SELECT seq FROM operations {way} WHERE {first}{conditions} ORDER BY seq DESC LIMIT ?{limit})"
        )
    };
    let arms: Vec<String> = ways(filter).into_iter().map(arm).collect();
    (format!("{} ORDER BY 1 DESC LIMIT ?{limit}", arms.join(" UNION ALL ")), values)
}

/// By which index the table is searched, and what else that takes: once for each class, where the
/// outcome does not matter, so that each search is in the order of the list.
fn ways(filter: &Filter) -> Vec<(String, String)> {
    let by = |index: &str| format!("INDEXED BY operations_{index}");
    if filter.request_id.is_some() {
        return vec![(by("by_request"), "true".to_owned())];
    }
    // Few are pending at any time, of all callers together.
    if filter.outcome == Some(Outcome::Pending) {
        return vec![(by("pending"), "outcome = 'pending'".to_owned())];
    }
    let index = match (&filter.caller, &filter.nic) {
        (Some(_), Some(_)) => "by_caller_and_nic",
        (Some(_), None) => "by_caller",
        (None, Some(_)) => "by_nic",
        (None, None) if filter.outcome.is_some() => "by_class",
        (None, None) => return vec![("NOT INDEXED".to_owned(), "true".to_owned())],
    };
    let classes = CLASSES.into_iter();
    let wanted = classes.filter(|one| filter.outcome.is_none_or(|outcome| class(outcome) == *one));
    wanted.map(|class| (by(index), format!("class = {class}"))).collect()
}

/// An intent `i` with the last outcome of its operation.
const LAST: &str =
    "(SELECT outcome FROM entries WHERE operation = i.operation ORDER BY seq DESC LIMIT 1)";

/// The first intent that the table has otherwise than the entries, or not at all.
pub(super) fn misfiled(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = format!(
        "SELECT i.seq FROM entries i NOT INDEXED LEFT JOIN operations p ON p.seq = i.seq WHERE i.kind = 'intent' AND (p.caller, p.nic, p.request_id, p.outcome) IS NOT (i.caller, i.nic, i.request_id, {LAST}) ORDER BY i.seq LIMIT 1"
    );
    connection.query_row(&sql, [], |row| row.get(0)).optional()
}

/// Rebuilds the table if it does not end as the entries do, which means that somebody changed the file;
/// whether that was so. Both are written in the same transactions, so nothing else can part them.
pub(super) fn refile(connection: &mut Connection) -> rusqlite::Result<bool> {
    let ends = [
        "SELECT max(seq) FROM operations",
        "SELECT (SELECT seq FROM entries WHERE kind = 'intent' ORDER BY seq DESC LIMIT 1)",
    ];
    let [filed, recorded] =
        ends.map(|sql| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)));
    if filed? == recorded? {
        return Ok(false);
    }
    let class = Outcome::ALL.map(|one| format!("WHEN '{}' THEN {}", one.label(), class(one)));
    let class = format!("CASE outcome {} END", class.join(" "));
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM operations", [])?;
    let sql = format!(
        "INSERT INTO operations SELECT seq, caller, nic, request_id, outcome, {class} FROM (SELECT seq, caller, nic, request_id, {LAST} AS outcome FROM entries i WHERE kind = 'intent')"
    );
    transaction.execute(&sql, [])?;
    transaction.commit()?;
    Ok(true)
}

#[cfg(test)]
mod tests;
