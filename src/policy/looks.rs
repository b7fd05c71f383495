//! Finds out, while a policy is loaded, which data it reads, above all whether it reads the resource's data.
//!
//! On an entity without data, Cedar's `in`, `has` and `hasTag` are silently false, and a `forbid` that uses them would
//! vanish (docs/threats.md, row 27). A policy therefore counts as reading the resource unless every mention of it is
//! one that needs no data: a bare scope, `==`, `is`, or `.id`.

use cedar_policy::{ActionConstraint, Policy, ResourceConstraint};
use serde_json::Value;

/// Types whose literals cannot refer to a resource's data.
const HARMLESS: [&str; 3] = ["Zec::Caller", "Zec::Group", "Zec::Action"];

/// The members of the context that every request has at hand.
const AT_HAND: [&str; 3] = ["address", "addressCount", "dryRun"];

/// Whether the policy's answer may depend on the resource's data. In doubt, the answer is yes.
pub(super) fn looks_at_resource(policy: &Policy) -> bool {
    let scope = match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Eq(_) | ResourceConstraint::Is(_) => false,
        ResourceConstraint::In(_) | ResourceConstraint::IsIn(..) => true,
    };
    scope
        || match policy.to_json() {
            Ok(json) => match json.get("conditions").and_then(Value::as_array) {
                Some(conditions) => {
                    conditions.iter().any(|condition| condition.get("body").is_none_or(looks))
                }
                None => true,
            },
            Err(_) => true,
        }
}

/// The entities that a policy needs besides the caller's groups. An entity is built only if some policy that matters to
/// the request needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a need of its own")]
pub(super) struct Needs {
    /// The action with its groups.
    pub(super) action: bool,
    /// The caller's attributes.
    pub(super) caller: bool,
    /// The resource, even if only its id.
    pub(super) resource: bool,
    /// The members of the context that have to be made: `request`, `via` and `now`.
    pub(super) context: bool,
    /// The data of the other resources that the request names.
    pub(super) beside: bool,
}

impl Needs {
    /// All of them.
    pub(super) const ALL: Self =
        Self { action: true, caller: true, resource: true, context: true, beside: true };

    /// The needs of the policy. In doubt, an entity is needed.
    pub(super) fn of(policy: &Policy) -> Self {
        let Ok(json) = policy.to_json() else { return Self::ALL };
        let Some(conditions) = json.get("conditions") else { return Self::ALL };
        // A literal may refer to the caller, the action or the resource of the request.
        if has_literal_but_of_groups(conditions) {
            return Self::ALL;
        }
        let in_scope = matches!(policy.action_constraint(), ActionConstraint::In(_));
        Self {
            action: in_scope || mentions(conditions, "action"),
            caller: mentions(conditions, "principal"),
            resource: looks_at_resource(policy) || mentions(conditions, "resource"),
            context: makes_context(conditions),
            beside: reads_beside(conditions),
        }
    }

    /// The needs of both together.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            action: self.action || other.action,
            caller: self.caller || other.caller,
            resource: self.resource || other.resource,
            context: self.context || other.context,
            beside: self.beside || other.beside,
        }
    }
}

/// Whether the context is read in any other way than by a member that every request has at hand.
fn makes_context(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(operator, operand)| {
            let is_context = |side: Option<&Value>| {
                side.and_then(single).is_some_and(|(name, of)| name == "Var" && of == "context")
            };
            let at_hand = || {
                let attribute = operand.get("attr").and_then(Value::as_str);
                attribute.is_some_and(|name| AT_HAND.contains(&name))
            };
            match operator.as_str() {
                "Var" => operand == "context",
                "." | "has" if is_context(operand.get("left")) && at_hand() => false,
                _ => makes_context(operand),
            }
        }),
        Value::Array(items) => items.iter().any(makes_context),
        _ => false,
    }
}

fn mentions(value: &Value, variable: &str) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(name, inner)| (name == "Var" && inner == variable) || mentions(inner, variable)),
        Value::Array(items) => items.iter().any(|item| mentions(item, variable)),
        _ => false,
    }
}

fn has_literal_but_of_groups(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, inner)| {
            let other = || inner.get("type").is_none_or(|kind| kind != "Zec::Group");
            (name == "__entity" && other()) || has_literal_but_of_groups(inner)
        }),
        Value::Array(items) => items.iter().any(has_literal_but_of_groups),
        _ => false,
    }
}

/// The groups that the policy names anywhere. No other group can change its answer.
pub(super) fn groups_named(policy: &Policy) -> Vec<String> {
    policy
        .entity_literals()
        .into_iter()
        .filter(|uid| uid.type_name().to_string() == "Zec::Group")
        .map(|uid| uid.id().unescaped().to_owned())
        .collect()
}

/// Walks an expression in Cedar's JSON form. A mention of the resource counts as a read of its data, unless the place
/// of the mention is known to be harmless.
fn looks(expression: &Value) -> bool {
    let Some((operator, operand)) = single(expression) else { return any_child(expression) };
    match operator {
        "Var" if operand.is_string() => operand == "resource",
        "Value" => is_telling_literal(operand),
        // A record's keys come from the policy's author; they are not operators.
        "Record" => operand.as_object().is_none_or(|fields| fields.values().any(looks)),
        "==" => match (operand.get("left"), operand.get("right")) {
            (Some(left), Some(right)) => compared_looks(left) || compared_looks(right),
            _ => any_child(operand),
        },
        "is" if operand.get("in").is_none() && !reads_request(operand.get("left")) => {
            operand.get("left").is_none_or(|left| !is_resource(left) && looks(left))
        }
        "." if operand.get("attr").is_some_and(|attr| attr == "id") => {
            operand.get("left").is_none_or(|left| !is_resource(left) && looks(left))
        }
        // An entity in the request has data too. Only plain members of the request have none.
        "hasTag" | "getTag" | "in" | "is" if reads_request(operand.get("left")) => true,
        "." | "has" if is_of_an_entity(operand.get("left")) => true,
        _ => any_child(operand),
    }
}

/// Whether an expression is a member of `context.request`, or holds one.
fn reads_request(expression: Option<&Value>) -> bool {
    expression.is_some_and(|expression| !request_path(expression).is_empty())
}

/// Whether an expression may be an entity in the request: a member whose name ends like that of an id. The catalogue takes
/// no single id under another name (`catalogue/parameter.rs`), and a set of ids has no members.
fn is_of_an_entity(expression: Option<&Value>) -> bool {
    let path = expression.map(request_path).unwrap_or_default();
    path.last().is_some_and(|name| name.ends_with("Id") || name.ends_with("Ids"))
}

/// The names after `context.request` in an expression such as `context.request.a.b`.
fn request_path(expression: &Value) -> Vec<&str> {
    let Some(access) = expression.get(".") else { return Vec::new() };
    let (Some(left), Some(name)) = (access.get("left"), access.get("attr").and_then(Value::as_str))
    else {
        return Vec::new();
    };
    let is_context =
        single(left).is_some_and(|(operator, of)| operator == "Var" && of == "context");
    if is_context {
        return if name == "request" { vec!["request"] } else { Vec::new() };
    }
    let mut path = request_path(left);
    if !path.is_empty() {
        path.push(name);
    }
    path
}

/// Whether the policy reads the data of entities in the request, beside its resource.
fn reads_beside(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(operator, operand)| {
            let left = operand.get("left");
            let reads = match operator.as_str() {
                "hasTag" | "getTag" | "in" | "is" => reads_request(left),
                "." | "has" => is_of_an_entity(left),
                _ => false,
            };
            reads || reads_beside(operand)
        }),
        Value::Array(items) => items.iter().any(reads_beside),
        _ => false,
    }
}

/// One side of `==`; comparing the resource's id itself needs no data.
fn compared_looks(side: &Value) -> bool {
    let literal = single(side).is_some_and(|(operator, _)| operator == "Value");
    !is_resource(side) && !literal && looks(side)
}

fn is_resource(expression: &Value) -> bool {
    single(expression).is_some_and(|(operator, name)| operator == "Var" && name == "resource")
}

/// Outside `==`, a literal such as `Zec::Nic::"x"` or `Zec::Subnet::"y"` may refer to a resource.
fn is_telling_literal(value: &Value) -> bool {
    match value {
        Value::Object(members) => match members.get("__entity").and_then(|e| e.get("type")) {
            Some(Value::String(name)) => !HARMLESS.contains(&name.as_str()),
            Some(_) => true,
            None => members.values().any(is_telling_literal),
        },
        Value::Array(items) => items.iter().any(is_telling_literal),
        _ => false,
    }
}

fn single(expression: &Value) -> Option<(&str, &Value)> {
    let members = expression.as_object()?;
    let (operator, operand) = members.iter().next()?;
    (members.len() == 1).then_some((operator.as_str(), operand))
}

fn any_child(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.values().any(looks),
        Value::Array(items) => items.iter().any(looks),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(scope: &str, condition: &str) -> bool {
        let text = format!("permit (principal, action, {scope}) {condition};");
        looks_at_resource(&Policy::parse(None, text).unwrap())
    }

    #[test]
    fn a_bare_scope_equality_type_and_id_need_no_data() {
        for (scope, condition) in [
            ("resource", ""),
            (r#"resource == Zec::Nic::"a""#, ""),
            ("resource is Zec::Nic", ""),
            ("resource", r#"when { resource == Zec::Nic::"a" }"#),
            ("resource", r#"when { Zec::Nic::"a" == resource }"#),
            ("resource", "when { resource is Zec::Nic }"),
            ("resource", r#"unless { resource.id == "a" || resource.id like "b*" }"#),
            ("resource", r#"when { ["a", "b"].contains(resource.id) }"#),
            ("resource", r#"when { principal in Zec::Group::"corp/a" }"#),
            ("resource", r#"when { principal in [Zec::Group::"corp/a", Zec::Group::"corp/b"] }"#),
            ("resource", r#"when { context.address.isInRange(ip("10.0.0.0/8")) }"#),
            ("resource", r#"when { {"Value": "resource", "Var": "resource"} has x }"#),
        ] {
            assert!(!look(scope, condition), "{scope} {condition}");
        }
    }

    #[test]
    fn a_policy_needs_what_it_mentions_and_all_where_it_names_an_entity() {
        let needs = |scope: &str, condition: &str| {
            let text = format!("permit ({scope}) {condition};");
            Needs::of(&Policy::parse(None, text).unwrap())
        };
        let bare = "principal in Zec::Group::\"g\", action == Zec::Action::\"a\", resource";
        let by = |condition: &str| needs(bare, condition);
        let nothing = Needs::default();
        assert_eq!(by("when { context.address == ip(\"10.0.0.1\") }"), nothing);
        assert_eq!(by("when { resource.id == \"a\" }"), Needs { resource: true, ..nothing });
        assert_eq!(by("when { principal.subject == \"a\" }"), Needs { caller: true, ..nothing });
        assert_eq!(by("when { {\"x\": action}.x == action }"), Needs { action: true, ..nothing });
        let made = Needs { context: true, ..nothing };
        for condition in [
            "context.via == \"api\"",
            "context has request",
            "context.request.pageSize == 1",
            "{\"x\": context}.x.dryRun",
        ] {
            assert_eq!(by(&format!("when {{ {condition} }}")), made, "{condition}");
        }
        assert_eq!(by("when { context.dryRun && context has address }"), nothing);
        for literal in ["Zec::Caller::\"a\".subject", "Zec::Nic::\"a\".id"] {
            assert_eq!(by(&format!("when {{ {literal} == \"a\" }}")), Needs::ALL);
        }
        let read = "principal, action in Zec::Action::\"read\", resource in Zec::Vpc::\"v\"";
        assert_eq!(needs(read, ""), Needs { action: true, resource: true, ..nothing });
    }

    #[test]
    fn the_data_of_an_entity_in_the_request_is_data_too() {
        for condition in [
            r#"when { context.request.vpcId.hasTag("locked") }"#,
            r#"when { context.request.vpcId.name == "a" }"#,
            "when { context.request.vpcId has name }",
            r#"when { context.request.subnetId in Zec::Vpc::"v" }"#,
            "when { context.request.subnetId in context.request.vpcId }",
            r#"when { context.request.nicId is Zec::Nic in Zec::Vpc::"v" }"#,
        ] {
            let text = format!("forbid (principal, action, resource) {condition};");
            let policy = Policy::parse(None, text).unwrap();
            assert!(looks_at_resource(&policy) && Needs::of(&policy).beside, "{condition}");
        }
        for condition in [
            "when { context.request has vpcId }",
            r#"when { context.request.vpcId == Zec::Vpc::"v" }"#,
            "when { context.request has tags && context.request.tags has tags }",
            "when { context.request.pageSize == 1 && context has request }",
            r#"when { context.request.tags.tags.key.contains("a") }"#,
        ] {
            let text = format!("forbid (principal, action, resource) {condition};");
            let policy = Policy::parse(None, text).unwrap();
            assert!(!looks_at_resource(&policy), "{condition}");
        }
    }

    #[test]
    fn everything_else_looks() {
        for (scope, condition) in [
            (r#"resource in Zec::Subnet::"s""#, ""),
            (r#"resource is Zec::Nic in Zec::Vpc::"v""#, ""),
            ("resource", r#"when { resource in Zec::Subnet::"s" }"#),
            ("resource", r#"when { resource in [Zec::Subnet::"s"] }"#),
            ("resource", r#"when { resource is Zec::Nic in Zec::Subnet::"s" }"#),
            ("resource", r#"unless { resource.hasTag("a") }"#),
            ("resource", r#"when { resource.getTag("a") == "b" }"#),
            ("resource", "when { resource has primaryIpv4 }"),
            ("resource", "when { resource.attached }"),
            ("resource", r#"when { resource.name == "x" }"#),
            ("resource", r#"when { Zec::Nic::"a" in Zec::Subnet::"s" }"#),
            ("resource", r#"when { Zec::Nic::"a".attached }"#),
            ("resource", r#"when { Zec::Nic::"a".id == "a" }"#),
            (
                "resource",
                r#"when { (if context.dryRun then resource else Zec::Nic::"a").id == "a" }"#,
            ),
            ("resource", r#"when { [resource].contains(Zec::Nic::"a") }"#),
            ("resource", r#"when { {"Value": resource}.Value.attached }"#),
            ("resource", r#"when { {"x": resource}.x.attached }"#),
            ("resource", r#"when { {"==": resource}["=="].attached }"#),
            ("resource", r#"when { [Zec::Nic::"a"].contains(resource) }"#),
            ("resource", r#"when { principal in resource }"#),
            ("resource", r#"when { (resource == Zec::Nic::"a") == resource.attached }"#),
        ] {
            assert!(look(scope, condition), "{scope} {condition}");
        }
    }
}
