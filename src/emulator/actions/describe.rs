//! The action `DescribeNetworkInterfaces`, with its filters and pages.

use super::{
    super::{
        failure::{Code, Failure},
        nic::NicSeed,
    },
    Output, Parameters, State, Version,
    parameters::missing,
};

const STATUSES: [&str; 7] =
    ["PENDING", "AVAILABLE", "ATTACHING", "USED", "DETACHING", "DELETING", "CREATE_FAILED"];
const NIC_TYPES: [&str; 2] = ["Primary", "Secondary"];
const STACKS: [&str; 3] = ["IPv4", "IPv4_IPv6", "IPv6"];

/// The page size if the request names none (documented).
const DEFAULT_PAGE_SIZE: u64 = 20;
/// The most characters of a tag's key or value in a filter (documented).
const MAX_TAG_CHARS: usize = 64;

/// The filters of `DescribeNetworkInterfaces`; a vNIC must pass all (inferred).
struct Filters<'a> {
    nic_ids: Vec<&'a str>,
    name: Option<String>,
    region: Option<&'a str>,
    vpc: Option<&'a str>,
    subnet: Option<&'a str>,
    instance: Option<&'a str>,
    status: Option<&'a str>,
    nic_type: Option<&'a str>,
    resource_group: Option<&'a str>,
    security_group: Option<&'a str>,
    stack: Option<&'a str>,
    tag_keys: Vec<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
}

impl State {
    /// `DescribeNetworkInterfaces`: a page of the vNICs that pass the filters, and the total number of them. An unknown
    /// id is not an error.
    pub(super) fn describe(
        &self,
        parameters: &Parameters,
        version: Version,
    ) -> Result<Output, Failure> {
        let filters = Filters::read(parameters, self.limits.nic_ids, self.limits.tags)?;
        let size =
            parameters.count("pageSize", self.limits.page_size)?.unwrap_or(DEFAULT_PAGE_SIZE);
        let number = parameters.count("pageNum", u64::MAX)?.unwrap_or(1);
        let first = usize::try_from((number - 1).saturating_mul(size)).unwrap_or(usize::MAX);
        let found: Vec<_> = self.shown().filter(|nic| filters.pass(&nic.seed)).collect();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let page = found.iter().skip(first).take(size).map(|nic| nic.info(version)).collect();
        Ok(Output { total_count: Some(found.len()), data_set: Some(page), ..Output::default() })
    }
}

impl<'a> Filters<'a> {
    fn read(from: &'a Parameters, max_ids: usize, max_tags: usize) -> Result<Self, Failure> {
        Ok(Self {
            nic_ids: from.texts("nicIds", max_ids)?,
            name: from.text("name")?.map(str::to_lowercase),
            region: from.text("regionId")?,
            vpc: from.text("vpcId")?,
            subnet: from.text("subnetId")?,
            instance: from.text("instanceId")?,
            status: from.choice("status", &STATUSES)?,
            nic_type: from.choice("nicType", &NIC_TYPES)?,
            resource_group: from.text("resourceGroupId")?,
            security_group: from.text("securityGroupId")?,
            stack: from.choice("nicSubnetType", &STACKS)?,
            tag_keys: from.texts("tagKeys", max_tags)?,
            tags: tags(from, max_tags)?,
        })
    }

    fn pass(&self, nic: &NicSeed) -> bool {
        let is = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted == found);
        let group = nic.resource_group.as_ref().map_or("", |(id, _)| id);
        let has_key = |wanted: &&str| nic.tags.iter().any(|(key, _)| key == wanted);
        let has_tag = |(key, value): &(&str, &str)| {
            nic.tags.iter().any(|(k, v)| k.as_str() == *key && v.as_str() == *value)
        };
        (self.nic_ids.is_empty() || self.nic_ids.contains(&nic.id.as_str()))
            // "Fuzzy" is taken to mean that the text is part of the name, ignoring case.
            && self.name.as_ref().is_none_or(|part| nic.name.to_lowercase().contains(part))
            && is(self.region, &nic.region)
            && is(self.vpc, &nic.vpc)
            && is(self.subnet, &nic.subnet.id)
            && is(self.instance, nic.instance.as_deref().unwrap_or_default())
            && is(self.status, &nic.status)
            && is(self.nic_type, &nic.nic_type)
            && is(self.resource_group, group)
            && is(self.security_group, &nic.security_group)
            && is(self.stack, &nic.subnet.stack)
            && self.tag_keys.iter().all(has_key)
            && self.tags.iter().all(has_tag)
    }
}

/// The filter's tags: a flat list of `{"key", "value"}`, unlike a vNIC's own tags.
fn tags(from: &Parameters, max: usize) -> Result<Vec<(&str, &str)>, Failure> {
    let mut tags = Vec::new();
    for tag in from.list("tags", max)? {
        let part = |name: &str| match tag.get(name).map(|part| part.as_str()) {
            None => Err(missing(&format!("tags.{name}"))),
            Some(None) => {
                Err(Failure::new(Code::ParameterType, format!("`tags.{name}` is not a text")))
            }
            Some(Some("")) => {
                Err(Failure::new(Code::LessLength, format!("`tags.{name}` is empty")))
            }
            Some(Some(text)) if text.chars().count() > MAX_TAG_CHARS => {
                Err(Failure::new(Code::ExceedLength, format!("`tags.{name}` is too long")))
            }
            Some(Some(text)) => Ok(text),
        };
        tags.push((part("key")?, part("value")?));
    }
    Ok(tags)
}
