//! The attributes of users and groups (RFC 7643, 4 and 8.7.1), as tables.
//!
//! What stands here is what is enforced, compared and advertised: filters, writes and the discovery
//! endpoints all read the same tables.

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/Users`.
    User,
    /// `/Groups`.
    Group,
}

/// A schema: its name and its attributes.
#[derive(Debug)]
pub struct Schema {
    /// Its URN.
    pub urn: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

/// The type of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text.
    String,
    /// true or false.
    Boolean,
    /// An instant.
    DateTime,
    /// A URI.
    Reference,
    /// Base64.
    Binary,
    /// Sub-attributes.
    Complex,
}

/// Who may change an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// The server only.
    ReadOnly,
    /// Clients.
    ReadWrite,
    /// Clients, once.
    Immutable,
    /// Clients; it is never shown.
    WriteOnly,
}

/// When an attribute is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// Whatever was asked for.
    Always,
    /// Never.
    Never,
    /// Unless it was left out of what was asked for.
    Default,
}

/// One attribute and its characteristics (RFC 7643, 2.2 and 7).
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the characteristics are the RFC's, one by one")]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Type,
    /// Has it many values?
    pub multi: bool,
    /// Must it have a value?
    pub required: bool,
    /// Does case count in comparisons?
    pub case_exact: bool,
    /// Who may change it.
    pub mutability: Mutability,
    /// When it is shown.
    pub returned: Returned,
    /// May only one resource of a namespace have a value?
    pub unique: bool,
    /// What a reference may point to.
    pub references: &'static [&'static str],
    /// Suggested values.
    pub canonical: &'static [&'static str],
    /// Sub-attributes.
    pub sub: &'static [Attribute],
    /// What it is about.
    pub about: &'static str,
}

impl Attribute {
    const fn new(name: &'static str, kind: Type, about: &'static str) -> Self {
        Self {
            name,
            kind,
            multi: false,
            required: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            unique: false,
            references: &[],
            canonical: &[],
            sub: &[],
            about,
        }
    }

    const fn text(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::String, about)
    }

    const fn complex(name: &'static str, sub: &'static [Self], about: &'static str) -> Self {
        let mut attribute = Self::new(name, Type::Complex, about);
        attribute.sub = sub;
        attribute
    }

    const fn reference(name: &'static str, to: &'static [&'static str], about: &'static str) -> Self {
        let mut attribute = Self::new(name, Type::Reference, about);
        attribute.references = to;
        attribute.case_exact = true;
        attribute
    }

    const fn multi(mut self) -> Self {
        self.multi = true;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn exact(mut self) -> Self {
        self.case_exact = true;
        self
    }

    const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    const fn mutability(mut self, mutability: Mutability) -> Self {
        self.mutability = mutability;
        self
    }

    const fn returned(mut self, returned: Returned) -> Self {
        self.returned = returned;
        self
    }

    const fn canonical(mut self, values: &'static [&'static str]) -> Self {
        self.canonical = values;
        self
    }

    /// A sub-attribute by its name, without regard to case.
    pub fn sub_attribute(&self, name: &str) -> Option<&'static Self> {
        self.sub.iter().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }
}

impl Schema {
    /// An attribute by its name, without regard to case.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

impl Kind {
    /// The schema that every resource of this kind has.
    pub const fn core(self) -> &'static Schema {
        match self {
            Self::User => &USER,
            Self::Group => &GROUP,
        }
    }

    /// The schemas that a resource of this kind may have in addition.
    pub fn extensions(self) -> &'static [&'static Schema] {
        static OF_USERS: [&Schema; 1] = [&ENTERPRISE];
        match self {
            Self::User => &OF_USERS,
            Self::Group => &[],
        }
    }

    /// `User`, `Group`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// `/Users`, `/Groups`.
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    /// The schema with this URN, without regard to case.
    pub fn schema(self, urn: &str) -> Option<&'static Schema> {
        let known = std::iter::once(self.core()).chain(self.extensions().iter().copied());
        known.into_iter().find(|schema| schema.urn.eq_ignore_ascii_case(urn))
    }

    /// An attribute of the core schema, or one that every resource has.
    pub fn attribute(self, name: &str) -> Option<&'static Attribute> {
        let common = COMMON.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name));
        self.core().attribute(name).or(common)
    }
}

const READ_ONLY: Mutability = Mutability::ReadOnly;
const IMMUTABLE: Mutability = Mutability::Immutable;

/// What every resource has (RFC 7643, 3.1); not part of any advertised schema.
pub static COMMON: &[Attribute] = &[
    Attribute::text("id", "Made by this server, never reassigned.")
        .exact()
        .unique()
        .mutability(READ_ONLY)
        .returned(Returned::Always),
    Attribute::text("externalId", "The provider's own id of the resource.").exact(),
    Attribute::reference("schemas", &["uri"], "The schemas of the resource.")
        .multi()
        .required()
        .mutability(READ_ONLY)
        .returned(Returned::Always),
    Attribute::complex(
        "meta",
        &[
            Attribute::text("resourceType", "User or Group.").exact().mutability(READ_ONLY),
            Attribute::new("created", Type::DateTime, "When it was made.").mutability(READ_ONLY),
            Attribute::new("lastModified", Type::DateTime, "When it last changed.").mutability(READ_ONLY),
            Attribute::reference("location", &["uri"], "Where it is.").mutability(READ_ONLY),
            Attribute::text("version", "Its version.").exact().mutability(READ_ONLY),
        ],
        "About the resource.",
    )
    .mutability(READ_ONLY),
];

const DISPLAY: Attribute = Attribute::text("display", "For people to read.");
const TYPE: Attribute = Attribute::text("type", "What it is used for.");
const PRIMARY: Attribute =
    Attribute::new("primary", Type::Boolean, "Is it the preferred one? At most one is.");
const VALUE: Attribute = Attribute::text("value", "The value.");

/// The User schema.
pub static USER: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    about: "A person who may log in to the clusters",
    attributes: &[
        Attribute::text("userName", "The name of the person, unique without regard to case.")
            .required()
            .unique(),
        Attribute::complex(
            "name",
            &[
                Attribute::text("formatted", "The full name."),
                Attribute::text("familyName", "The family name."),
                Attribute::text("givenName", "The given name."),
                Attribute::text("middleName", "The middle names."),
                Attribute::text("honorificPrefix", "A title before the name."),
                Attribute::text("honorificSuffix", "A title after the name."),
            ],
            "The parts of the person's name.",
        ),
        Attribute::text("displayName", "The name as it is shown."),
        Attribute::text("nickName", "A casual name."),
        Attribute::reference("profileUrl", &["external"], "A page about the person."),
        Attribute::text("title", "The person's title, such as Vice President."),
        Attribute::text("userType", "Such as Contractor or Employee."),
        Attribute::text("preferredLanguage", "As in the HTTP header Accept-Language."),
        Attribute::text("locale", "Such as en-US."),
        Attribute::text("timezone", "Such as Europe/Paris."),
        Attribute::new(
            "active",
            Type::Boolean,
            "May the person log in? Setting it to false ends open sessions.",
        ),
        Attribute::text("password", "Accepted and discarded: people log in by tokens.")
            .mutability(Mutability::WriteOnly)
            .returned(Returned::Never),
        Attribute::complex(
            "emails",
            &[VALUE, DISPLAY, TYPE.canonical(&["work", "home", "other"]), PRIMARY],
            "E-mail addresses.",
        )
        .multi(),
        Attribute::complex(
            "phoneNumbers",
            &[VALUE, DISPLAY, TYPE.canonical(&["work", "home", "mobile", "fax", "pager", "other"]), PRIMARY],
            "Telephone numbers.",
        )
        .multi(),
        Attribute::complex("ims", &[VALUE, DISPLAY, TYPE, PRIMARY], "Instant messaging addresses.").multi(),
        Attribute::complex(
            "photos",
            &[
                Attribute::reference("value", &["external"], "Where the picture is."),
                DISPLAY,
                TYPE.canonical(&["photo", "thumbnail"]),
                PRIMARY,
            ],
            "Pictures of the person.",
        )
        .multi(),
        Attribute::complex(
            "addresses",
            &[
                Attribute::text("formatted", "The full address."),
                Attribute::text("streetAddress", "Street and number."),
                Attribute::text("locality", "The city."),
                Attribute::text("region", "The state or region."),
                Attribute::text("postalCode", "The postal code."),
                Attribute::text("country", "The country."),
                TYPE.canonical(&["work", "home", "other"]),
                PRIMARY,
            ],
            "Postal addresses.",
        )
        .multi(),
        Attribute::complex(
            "groups",
            &[
                VALUE.mutability(READ_ONLY),
                Attribute::reference("$ref", &["Group"], "Where the group is.").mutability(READ_ONLY),
                DISPLAY.mutability(READ_ONLY),
                TYPE.canonical(&["direct"]).mutability(READ_ONLY),
            ],
            "The groups that the person is a member of; changed by way of the groups.",
        )
        .multi()
        .mutability(READ_ONLY),
        Attribute::complex("entitlements", &[VALUE, DISPLAY, TYPE, PRIMARY], "Things that the person has.")
            .multi(),
        Attribute::complex("roles", &[VALUE, DISPLAY, TYPE, PRIMARY], "Roles of the person.").multi(),
        Attribute::complex(
            "x509Certificates",
            &[Attribute::new("value", Type::Binary, "The certificate, DER.").exact(), DISPLAY, TYPE, PRIMARY],
            "Certificates of the person.",
        )
        .multi(),
    ],
};

/// The Enterprise User extension.
pub static ENTERPRISE: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "EnterpriseUser",
    about: "What organizations know of a person",
    attributes: &[
        Attribute::text("employeeNumber", "A number within the organization."),
        Attribute::text("costCenter", "The cost center."),
        Attribute::text("organization", "The organization."),
        Attribute::text("division", "The division."),
        Attribute::text("department", "The department."),
        Attribute::complex(
            "manager",
            &[
                Attribute::text("value", "The SCIM id of the manager; not looked up.").exact(),
                Attribute::reference("$ref", &["User"], "Where the manager is."),
                Attribute::text("displayName", "The manager's name.").mutability(READ_ONLY),
            ],
            "The person's manager.",
        ),
    ],
};

/// The Group schema.
pub static GROUP: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    about: "A group that policies may name",
    attributes: &[
        Attribute::text("displayName", "The name of the group, unique without regard to case.")
            .required()
            .unique(),
        Attribute::complex(
            "members",
            &[
                Attribute::text("value", "The SCIM id of the user.").exact().mutability(IMMUTABLE),
                Attribute::reference("$ref", &["User"], "Where the user is.").mutability(IMMUTABLE),
                Attribute::text("type", "User.").canonical(&["User"]).mutability(IMMUTABLE),
            ],
            "The members: users of the same provider.",
        )
        .multi(),
    ],
};
