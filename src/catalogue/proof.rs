//! What proves that a call was done if ZEC's answer is lost.

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
