//! The types of resources, and how one is read.

use std::{collections::BTreeSet, fmt};

use super::table::{CatalogueError, Table};

/// A type of resource, such as `nat-gateway`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceType(String);

/// Types that belong to other products of Zenlayer: ZEC's actions name their ids, but ZEC does not show them.
const OF_OTHER_PRODUCTS: [&str; 7] = [
    "bandwidth-cluster",
    "cloud-router",
    "data-center",
    "key-pair",
    "load-balancer",
    "private-dns-zone",
    ResourceType::RESOURCE_GROUP,
];

impl ResourceType {
    /// The type of vNICs.
    pub const NIC: &str = "nic";
    /// The type of resource groups, which other products have.
    pub const RESOURCE_GROUP: &str = "resource-group";
    /// The type of regions, which are no resources of this API.
    pub const REGION: &str = "region";

    /// A type of this name: 1 to 32 lower-case letters, digits and `-`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let is_name = (1..=32).contains(&name.len()) && name.bytes().all(fits);
        is_name.then(|| Self(name.to_owned()))
    }

    /// The types of these names, joined by `|`.
    pub(super) fn parse_all(names: &str) -> Option<Vec<Self>> {
        names.split('|').map(Self::parse).collect()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether another product than ZEC has the resources. No action of this API reads them.
    #[must_use]
    pub fn is_of_another_product(&self) -> bool {
        OF_OTHER_PRODUCTS.contains(&self.as_str())
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A type of resource.
#[derive(Clone, Debug)]
pub struct ResourceRow {
    /// The type.
    pub kind: ResourceType,
    /// How resources of this type are read by their ids; `None` if no action can.
    pub read_by: Option<ReadBy>,
    /// The member that holds the id in ZEC's object.
    pub id: String,
    /// The member that holds the name.
    pub name: Option<String>,
    /// The member that holds the status.
    pub status: Option<String>,
    /// The members that hold the regions: most types have one, and some have none.
    pub regions: Vec<String>,
    /// The member that holds the zone.
    pub zone: Option<String>,
    /// The path to the resource group's id.
    pub group: Option<String>,
    /// Whether the object has tags.
    pub has_tags: bool,
    /// The members that hold the ids of the resources in which it lies.
    parents: Vec<String>,
    /// The members whose values prove the outcome of some action.
    pub proving: BTreeSet<String>,
}

impl ResourceRow {
    /// The members that hold the ids of resources in which it lies, and the types of those resources. A member such as
    /// `associatedId` does not say of which type they are, so it is left out.
    pub fn parents(&self) -> impl Iterator<Item = (&str, ResourceType)> {
        self.parents.iter().filter_map(|member| {
            let member = member.trim_end_matches("[]");
            let kind = member.strip_suffix("Ids").or_else(|| member.strip_suffix("Id"))?;
            (kind != "associated").then(|| (member, ResourceType(kind.to_owned())))
        })
    }
}

/// How resources of a type are read by their ids.
#[derive(Clone, Debug)]
pub struct ReadBy {
    /// The action.
    pub action: String,
    /// The parameter that takes the ids.
    pub ids: String,
    /// The most ids of one call, if ZEC documents a limit.
    pub most: Option<usize>,
    /// Another parameter that the action requires.
    pub also: Option<String>,
}

/// The most ids of one read, if ZEC documents no lower limit.
const MOST_IDS: usize = 100;

impl ReadBy {
    /// How many ids one read may name.
    #[must_use]
    pub fn most_ids(&self) -> usize {
        self.most.unwrap_or(MOST_IDS).clamp(1, MOST_IDS)
    }
}

pub(super) fn read(table: &Table<'_>) -> Result<Vec<ResourceRow>, CatalogueError> {
    table
        .rows()
        .map(|row| {
            let text = |column| Ok(row.optional(column)?.map(str::to_owned));
            let several = |column| {
                let cell = row.optional(column)?.unwrap_or_default();
                Ok(cell.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect())
            };
            let kind = row.known("resource_type", ResourceType::parse)?;
            let read_by = match (text("describe_action")?, text("id_filter")?) {
                (Some(action), Some(ids)) => {
                    let most = row.optional("max_ids")?.map(str::parse).transpose();
                    let most = most.map_err(|_| row.fault("`max_ids` is no number".to_owned()))?;
                    Some(ReadBy { action, ids, most, also: text("also_required")? })
                }
                (None, None) => None,
                _ => return Err(row.fault("an action or its filter is missing".to_owned())),
            };
            Ok(ResourceRow {
                id: text("id_field")?.unwrap_or_else(|| format!("{kind}Id")),
                kind,
                read_by,
                name: text("name_field")?,
                status: text("status_field")?,
                regions: several("region_field")?,
                zone: text("zone_field")?,
                group: text("resource_group_field")?,
                has_tags: row.optional("tags")?.is_some(),
                parents: several("parent_fields")?,
                proving: BTreeSet::new(),
            })
        })
        .collect()
}
