//! What proves that a call was done if ZEC's answer is lost.

use super::{
    action::{ActionRow, Effect},
    resource::ResourceType,
};

/// What proves that a call was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// ZEC no longer shows the resources of the action's own type that the call names.
    Gone,
    /// ZEC shows each of these resources with the values that the call gives. Only rows of which no other action sets such a
    /// member have this proof: otherwise the value could be another call's.
    Shows(Vec<ShownValue>),
    /// Nothing.
    Nothing,
}

/// A member of a resource that has a value of the call once the call is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownValue {
    /// The member.
    pub member: String,
    /// The parameters that can give the value. A call gives one of them.
    pub parameters: Vec<String>,
}

impl Proof {
    /// Reads `gone`, `-`, or `shows:MEMBER=PARAMETER`: several parameters are joined by `|`, and several members by `,`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "gone" => return Some(Self::Gone),
            "-" => return Some(Self::Nothing),
            _ => {}
        }
        let values = text.strip_prefix("shows:")?.split(',').map(ShownValue::parse);
        values.collect::<Option<_>>().map(Self::Shows)
    }

    /// The members whose values can prove something.
    pub(super) fn members(&self) -> impl Iterator<Item = &str> {
        let values = match self {
            Self::Shows(values) => values.as_slice(),
            Self::Gone | Self::Nothing => &[],
        };
        values.iter().map(|value| value.member.as_str())
    }

    /// What is wrong with an action's proof, if something is. `all` are the actions of the catalogue, and `is_readable` says
    /// whether one of them reads resources of a type by their ids.
    pub(super) fn fault(
        action: &ActionRow,
        all: &[ActionRow],
        is_readable: impl Fn(&ResourceType) -> bool,
    ) -> Option<String> {
        let changes_one_type = matches!(
            action.types_of_the_changed(),
            [kind] if is_readable(kind) && !kind.is_of_another_product()
        );
        match &action.proof {
            Self::Nothing => None,
            Self::Gone if action.effect == Effect::Destructive && changes_one_type => None,
            Self::Gone => Some(
                "has the proof `gone`, but is not destructive, or does not change one type of resources that can be read \
                 by their ids"
                    .to_owned(),
            ),
            Self::Shows(_) if !changes_one_type => Some(
                "has a proof by what ZEC shows, but does not change one type of resources that can be read by their ids"
                    .to_owned(),
            ),
            Self::Shows(values) => {
                let is_there =
                    |name: &&String| action.parameters.iter().any(|one| one.name == **name);
                let mut named = values.iter().flat_map(|value| &value.parameters);
                if let Some(unknown) = named.find(|name| !is_there(name)) {
                    return Some(format!("its proof names `{unknown}`, which is no parameter of it"));
                }
                let proves_the_same = |other: &&ActionRow| {
                    let own = |member: &str| action.proof.members().any(|one| one == member);
                    other.name != action.name
                        && other.types_of_the_changed() == action.types_of_the_changed()
                        && other.proof.members().any(own)
                };
                let other = all.iter().find(proves_the_same)?;
                Some(format!("`{}` has the same proof, so neither proves anything", other.name))
            }
        }
    }
}

impl ShownValue {
    fn parse(text: &str) -> Option<Self> {
        let is_name =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let (member, parameters) = text.split_once('=')?;
        let parameters: Vec<String> = parameters.split('|').map(str::to_owned).collect();
        (is_name(member) && parameters.iter().all(|name| is_name(name)))
            .then(|| Self { member: member.to_owned(), parameters })
    }
}
