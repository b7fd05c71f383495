//! Finds the operations of a list in the tables `operations` and `resources`. They have an index for each
//! filter and for combinations with others, so that a list reads about as many rows as it shows. Only a search
//! by request id may read more, and its reach is bounded.

use rusqlite::types::Value;

use super::index::{CLASSES, class};
use crate::{domain::Outcome, journal::record::Filter};

/// The query for the `seq` of the intents in a list, newest first, and its values.
pub(super) fn query(filter: &Filter) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut value = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    let mut conditions = String::new();
    let mut only = |condition: &str, text: Option<String>| {
        if let Some(text) = text {
            conditions.push_str(&condition.replace('?', &value(text.into())));
        }
    };
    only(" AND p.outcome = ?", filter.outcome.map(|outcome| outcome.label().to_owned()));
    let request = filter.request_id.clone().map(|id| value(id.into()));
    let caller = filter.caller.clone().map(|caller| value(caller.into()));
    let resource = filter.resource.as_ref().map(|one| value(one.to_string().into()));
    let before = filter.before.map(|id| value(id.to_string().into()));
    let older = |seq: &str| {
        before.as_ref().map_or(String::new(), |before| {
            format!(" AND {seq} < (SELECT seq FROM operations WHERE id = {before})")
        })
    };
    let reach = request.map(|request| reach(&request, caller.as_deref(), &older("seq")));
    let limit = value(i64::try_from(filter.limit).unwrap_or(i64::MAX).into());
    let arm = |IndexSearch { from, seq, first }: IndexSearch| {
        let older = older(seq);
        format!(
            "SELECT seq FROM (SELECT {seq} AS seq FROM {from} WHERE {first}{conditions}{older} ORDER BY {seq} DESC LIMIT {limit})"
        )
    };
    let arms: Vec<String> = ways(filter, reach, caller, resource).into_iter().map(arm).collect();
    (format!("{} ORDER BY 1 DESC LIMIT {limit}", arms.join(" UNION ALL ")), values)
}

/// How many operations of one request id are searched for a list. A request makes one operation, so there are
/// more only where callers reuse their ids.
pub(super) const REACH: usize = 1000;

/// The newest operations with a request id, as a table.
fn reach(request: &str, caller: Option<&str>, older: &str) -> String {
    let (index, mine) = match caller {
        Some(caller) => ("_and_caller", format!(" AND caller = {caller}")),
        None => ("", String::new()),
    };
    format!(
        "(SELECT seq, id, class, outcome FROM operations INDEXED BY operations_by_request{index} WHERE request_id = {request}{mine}{older} ORDER BY seq DESC LIMIT {REACH})"
    )
}

/// The query for the id of the last operation that a search by request id reached, and its values. It has a result
/// if there are so many operations that the search may have left some out. `None` for a search that always reaches
/// all of them.
pub(super) fn end_of_reach(filter: &Filter) -> Option<(String, Vec<Value>)> {
    let mut values: Vec<Value> = vec![filter.request_id.clone()?.into()];
    let mut value = |text: String| {
        values.push(text.into());
        format!("?{}", values.len())
    };
    let caller = filter.caller.clone().map(&mut value);
    let older = filter.before.map_or(String::new(), |id| {
        format!(" AND seq < (SELECT seq FROM operations WHERE id = {})", value(id.to_string()))
    });
    let reach = reach("?1", caller.as_deref(), &older);
    let last = REACH - 1;
    Some((format!("SELECT id FROM {reach} ORDER BY seq DESC LIMIT 1 OFFSET {last}"), values))
}

/// One search: the table with its index, and the condition that the index serves.
struct IndexSearch {
    from: String,
    /// The column by which that index orders its results.
    seq: &'static str,
    first: String,
}

/// The indexes by which operations are searched. If the outcome does not matter, there is one search for each
/// class, so that each search is in the order of the list. `caller` and `resource` are the placeholders of
/// their values.
fn ways(
    filter: &Filter,
    reach: Option<String>,
    caller: Option<String>,
    resource: Option<String>,
) -> Vec<IndexSearch> {
    let by = |index: &str| format!("operations p INDEXED BY operations_{index}");
    let mine = caller.as_ref().map_or(String::new(), |caller| format!(" AND p.caller = {caller}"));
    let here = resource.as_ref().map_or(String::new(), |resource| {
        format!(
            " AND EXISTS (SELECT 1 FROM resources WHERE resource = {resource} AND class = p.class AND seq = p.seq)"
        )
    });
    let one = |from, first: &str| {
        vec![IndexSearch { from, seq: "p.seq", first: format!("{first}{mine}{here}") }]
    };
    if let Some(reach) = reach {
        return vec![IndexSearch {
            from: format!("{reach} p"),
            seq: "p.seq",
            first: format!("true{here}"),
        }];
    }
    // Few operations are pending at any time, over all callers.
    if filter.outcome == Some(Outcome::Pending) {
        return one(by("pending"), "p.outcome = 'pending'");
    }
    let classes = CLASSES.into_iter();
    let wanted = classes.filter(|one| filter.outcome.is_none_or(|outcome| class(outcome) == *one));
    let joined = |index: &str| {
        (format!("resources r {index} CROSS JOIN operations p ON p.seq = r.seq"), "r.seq")
    };
    let filed = |index: &str| (by(index), "p.seq");
    let ((from, seq), first) = match (caller, resource) {
        (Some(caller), Some(resource)) => (
            joined("INDEXED BY resources_by_caller"),
            format!("r.resource = {resource} AND r.caller = {caller} AND r.class"),
        ),
        (None, Some(resource)) => {
            (joined("NOT INDEXED"), format!("r.resource = {resource} AND r.class"))
        }
        (Some(caller), None) => (filed("by_caller"), format!("p.caller = {caller} AND p.class")),
        (None, None) if filter.outcome.is_some() => (filed("by_class"), "p.class".to_owned()),
        (None, None) => return one("operations p NOT INDEXED".to_owned(), "true"),
    };
    let each = |class| IndexSearch { from: from.clone(), seq, first: format!("{first} = {class}") };
    wanted.map(each).collect()
}

#[cfg(test)]
mod tests;
