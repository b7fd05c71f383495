//! Finds literals in a policy that can never match: a group without its issuer, an id that no vNIC can have, a network
//! compared with one address. A `forbid` with such a literal never applies, so each of them is a fault.

use std::net::Ipv4Addr;

use cedar_policy::Policy;
use cedar_policy_core::{
    ast::{self, BinaryOp, EntityUID, Expr, ExprKind, Literal, Name, Var},
    parser::Loc,
};

use crate::domain::{Caller, KEYS_ISSUER, NicId, is_resource_id};

/// The longest name that a configured issuer may have, in characters.
const MAX_ISSUER: usize = 32;

/// A literal that can never match: its offset in bytes, if Cedar knows it, and why.
pub(super) struct Never {
    pub(super) offset: Option<usize>,
    pub(super) why: String,
}

/// Finds every literal of the policy that can never match. `issuers` are the configured names. Without a configuration
/// they are unknown, and only the form of a name is checked.
pub(super) fn never(policy: &Policy, issuers: Option<&[String]>) -> Vec<Never> {
    let condition = AsRef::<ast::Policy>::as_ref(policy).condition();
    let find = |expression: &Expr| {
        let (place, why) = match expression.expr_kind() {
            // An entity in the scope has a location, but the expression around it has none.
            ExprKind::Lit(Literal::EntityUID(uid)) => (uid.loc(), of_entity(uid, issuers)?),
            ExprKind::BinaryApp { op: BinaryOp::Eq, arg1, arg2 } => (
                None,
                of_equality(arg1, arg2, issuers).or_else(|| of_equality(arg2, arg1, issuers))?,
            ),
            ExprKind::BinaryApp { op: BinaryOp::Contains, arg1, arg2 } => {
                let ExprKind::Set(items) = arg1.expr_kind() else { return None };
                let of_item =
                    |item| of_attribute(item, arg2, issuers).or_else(|| of_address(item, arg2));
                (None, items.iter().find_map(of_item)?)
            }
            ExprKind::ExtensionFunctionApp { fn_name, args } if is_named(fn_name, "isInRange") => {
                (None, of_range(args)?)
            }
            _ => return None,
        };
        let place = expression.source_loc().or(place);
        Some(Never { offset: place.map(Loc::start), why })
    };
    let mut all: Vec<_> = condition.subexpressions().filter_map(find).collect();
    all.sort_by_key(|never| never.offset);
    all
}

fn of_entity(uid: &EntityUID, issuers: Option<&[String]>) -> Option<String> {
    let id: &str = uid.eid().as_ref();
    let why = match uid.entity_type().to_string().as_str() {
        "Zec::Caller" => of_identity(id, issuers, |issuer, subject| {
            Caller::vouch(issuer, subject, [""; 0]).err().map(|error| error.to_string())
        }),
        "Zec::Group" => of_identity(id, issuers, |issuer, group| {
            Caller::vouch(issuer, "x", [group]).err().map(|error| error.to_string())
        }),
        "Zec::Nic" => NicId::parse(id).err().map(|error| error.to_string()),
        "Zec::Account" => (id != "zec").then(|| "the only account is `zec`".to_owned()),
        "Zec::Action" | "Zec::Journal" => None,
        _ => (!is_resource_id(id))
            .then(|| "an id of ZEC's has 1 to 64 letters, digits, `-` and `_`".to_owned()),
    };
    why.map(|why| format!("`{uid}` can never match: {why}"))
}

/// Why no caller and no group can have that id, which looks like `corp/alice`.
fn of_identity(
    id: &str,
    issuers: Option<&[String]>,
    rest: impl Fn(&str, &str) -> Option<String>,
) -> Option<String> {
    let Some((issuer, name)) = id.split_once('/') else {
        return Some(
            "write the issuer's `name` of the configuration before it, as `corp/netops`".to_owned(),
        );
    };
    of_issuer(issuer, issuers).or_else(|| rest(issuer, name))
}

/// Why no issuer has that name.
fn of_issuer(name: &str, issuers: Option<&[String]>) -> Option<String> {
    let narrow = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if !((1..=MAX_ISSUER).contains(&name.len()) && name.bytes().all(narrow)) {
        return Some(format!(
            "`{}` is not an issuer's name: use 1 to {MAX_ISSUER} of a-z, 0-9 and `-`",
            name.escape_debug()
        ));
    }
    let known = issuers.filter(|known| !known.iter().any(|issuer| issuer == name))?;
    if name == KEYS_ISSUER {
        let text = "`keys` is the name of callers with access keys: add `[auth.access_keys]` to the configuration";
        return Some(text.to_owned());
    }
    Some(format!(
        "the configuration has no issuer `{name}`, only `{}`; correct the name, or add the issuer",
        known.join("`, `")
    ))
}

/// Why one side of `==` can never be equal to the other, and what is wrong with it.
fn of_equality(side: &Expr, other: &Expr, issuers: Option<&[String]>) -> Option<String> {
    of_address(side, other).or_else(|| of_attribute(side, other, issuers))
}

/// Why a literal can never equal the expression beside it, if that is a single IPv4 address.
fn of_address(literal: &Expr, other: &Expr) -> Option<String> {
    if is_one_address(other) { no_address(literal) } else { None }
}

/// Whether an expression is always a single IPv4 address: `context.address` or `resource.primaryIpv4`.
fn is_one_address(expression: &Expr) -> bool {
    let ExprKind::GetAttr { expr, attr } = expression.expr_kind() else { return false };
    matches!(
        (expr.expr_kind(), attr.as_str()),
        (ExprKind::Var(Var::Context), "address") | (ExprKind::Var(Var::Resource), "primaryIpv4")
    )
}

/// Why an attribute can never have that text.
fn of_attribute(text: &Expr, other: &Expr, issuers: Option<&[String]>) -> Option<String> {
    let ExprKind::Lit(Literal::String(text)) = text.expr_kind() else { return None };
    let ExprKind::GetAttr { expr, attr } = other.expr_kind() else { return None };
    let ExprKind::Var(variable) = expr.expr_kind() else { return None };
    let why = match (variable, attr.as_str()) {
        (Var::Principal, "issuer") => of_issuer(text, issuers)?,
        (Var::Resource, "id") => NicId::parse(text).err()?.to_string(),
        _ => return None,
    };
    Some(format!("`{variable}.{attr}` can never be this: {why}"))
}

/// Why a literal cannot equal the one IPv4 address beside it: it is a network, or another kind of address.
fn no_address(expression: &Expr) -> Option<String> {
    let text = ip(expression)?;
    let is_one = text.strip_suffix("/32").unwrap_or(text).parse::<Ipv4Addr>().is_ok();
    let text = text.escape_debug();
    (!is_one).then(|| {
        format!(
            "`ip(\"{text}\")` is not a single IPv4 address and never equals one: for a network \
             write `context.address.isInRange(ip(\"{text}\"))`"
        )
    })
}

/// What is wrong with `a.isInRange(b)`: a network never lies within an address, and an IPv4 address only within an IPv4
/// range.
fn of_range(args: &[Expr]) -> Option<String> {
    let [inner, range] = args else { return None };
    if !is_one_address(inner) && ip(inner).is_none() {
        return None;
    }
    let Some(text) = ip(range) else { return no_address(inner) };
    let first = text.split('/').next().unwrap_or(text);
    let text = text.escape_debug();
    (ip(inner).is_none() && first.parse::<Ipv4Addr>().is_err())
        .then(|| format!("`ip(\"{text}\")` holds no IPv4 address: write an IPv4 network"))
}

/// The text of a literal such as `ip("10.0.0.1")`.
fn ip(expression: &Expr) -> Option<&str> {
    let ExprKind::ExtensionFunctionApp { fn_name, args } = expression.expr_kind() else {
        return None;
    };
    match args.first().map(Expr::expr_kind) {
        Some(ExprKind::Lit(Literal::String(text))) if is_named(fn_name, "ip") => Some(text),
        _ => None,
    }
}

fn is_named(function: &Name, name: &str) -> bool {
    function.to_string() == name
}
