//! Which user functions a statement about rows may run: Cassandra's own resolution of calls, over what is known
//! of the types.
//!
//! Where a call can come to one function only, that one is needed. Where several remain possible, all of
//! them are; where none seems possible, every function of that name: whatever a node may run is among them.

use std::borrow::Cow;

use super::candidates::{Asked, Call, Candidate};
use super::order::order;
use super::typing::{Fit, Typing, head, parameters};
use crate::cql::canonical_type;
use crate::cql::functions::{is_native, signatures};
use crate::cql::need::{Need, Needs};
use crate::cql::permission::Permission;
use crate::cql::refusal::Refusal;
use crate::cql::resource::Resource;
use crate::cql::schema::{Function, Relation, Schema};
use crate::cql::statement::tree::{Node, NodeId, Place, Row, Tree, Use};
use crate::cql::statement::{FunctionName, Operator};

/// What the value of a node is given to.
#[derive(Clone, Debug, Default)]
enum Receiver {
    /// Nothing says so.
    #[default]
    Unknown,
    /// An entry of a selection, or something within one: resolved without regard to what it is for.
    Selected,
    /// One of these types.
    OneOf(Vec<String>),
}

/// The calls of one row statement.
pub(super) struct Calls<'t, 's, 'a, S> {
    tree: &'t Tree<'a>,
    row: &'t Row<'a>,
    schema: &'s S,
    /// The keyspace of the statement's table: unqualified names are looked up there.
    keyspace: &'t str,
    relation: Relation<'s>,
    typings: Vec<Typing<'t>>,
    resolved: Vec<Option<Call<'t>>>,
    receivers: Vec<Receiver>,
}

impl<'t, 's: 't, 'a, S: Schema> Calls<'t, 's, 'a, S> {
    /// Adds the needs of every call of `row`, in the order in which Cassandra checks them.
    pub(super) fn needs<'n>(
        tree: &'t Tree<'a>,
        row: &'t Row<'a>,
        keyspace: &'t str,
        relation: Relation<'s>,
        schema: &'s S,
        needs: &mut Needs<'n>,
    ) -> Result<(), Refusal> {
        let mut calls = Self {
            tree,
            row,
            schema,
            keyspace,
            relation,
            typings: Vec::with_capacity(row.len()),
            resolved: Vec::with_capacity(row.len()),
            receivers: vec![Receiver::Unknown; row.len()],
        };
        let order = order(tree, row, relation);
        calls.mark_selected();
        calls.type_nodes();
        calls.receive();
        for id in order {
            calls.need(id, needs)?;
        }
        Ok(())
    }

    /// Marks what stands in a selection. Keys of elements and bounds of slices are values.
    fn mark_selected(&mut self) {
        let (tree, row) = (self.tree, self.row);
        let mut open = vec![row.selected];
        open.extend(row.uses.iter().filter(|part| part.place == Place::GroupBy).map(|part| part.values));
        while let Some(first) = open.pop() {
            for id in tree.list(first) {
                if let Some(receiver) = self.receivers.get_mut(self.row.place(id)) {
                    *receiver = Receiver::Selected;
                }
                let [below, _] = tree.below(id);
                open.push(below);
            }
        }
    }

    /// Types every node. What stands below a node was recorded before it.
    fn type_nodes(&mut self) {
        let tree = self.tree;
        for (id, node) in tree.nodes(self.row) {
            let (typing, call) = self.type_node(id, node);
            self.typings.push(typing);
            self.resolved.push(call);
        }
    }

    fn typing(&self, id: NodeId) -> Option<&Typing<'t>> {
        self.typings.get(self.row.place(id))
    }

    /// The one type that a node is known to have.
    fn known(&self, id: NodeId) -> Option<&str> {
        match self.typing(id)? {
            Typing::Known(cql_type) => Some(cql_type),
            _ => None,
        }
    }

    fn type_node(&self, id: NodeId, node: &'t Node<'a>) -> (Typing<'t>, Option<Call<'t>>) {
        let known = |cql_type: Option<String>| {
            cql_type.map_or(Typing::Unknown, |cql_type| Typing::Known(Cow::Owned(cql_type)))
        };
        let typing = match node {
            Node::Literal(kind, text) => Typing::Literal(*kind, text),
            Node::Null => Typing::Null,
            Node::Marker => Typing::Marker,
            Node::Column(name) => known(self.column_type(name)),
            Node::CountAll => Typing::Known(Cow::Borrowed("bigint")),
            Node::Typed { cql_type, .. } => known(canonical_type(cql_type)),
            Node::List(_) => Typing::List,
            Node::Braces(_) => Typing::Braces,
            Node::Field { of, field } => known(self.known(*of).and_then(|of| self.field_type(of, field))),
            Node::Element { of, .. } => known(self.known(*of).and_then(element_type)),
            Node::Slice { of, .. } => self.typing(*of).cloned().unwrap_or(Typing::Unknown),
            Node::Arithmetic(_) | Node::Tuple(_) | Node::Attribute(_) => Typing::Unknown,
            Node::Call { function, arguments } => {
                let call = self.call(id, function, *arguments);
                return (Typing::Call, Some(call));
            }
        };
        (typing, None)
    }

    fn column_type(&self, name: &str) -> Option<String> {
        self.relation.column(name).map(|column| column.cql_type.to_string())
    }

    fn field_type(&self, user_type: &str, field: &str) -> Option<String> {
        let name = user_type.rsplit_once('.').map_or(user_type, |(_, name)| name);
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        self.schema.field_type(self.keyspace, &name.replace("\"\"", "\""), field).map(str::to_owned)
    }

    fn is_selected(&self, id: NodeId) -> bool {
        matches!(self.receivers.get(self.row.place(id)), Some(Receiver::Selected))
    }

    /// The candidates of a call, each with how its arguments fit.
    fn call(&self, id: NodeId, function: &'t FunctionName<'a>, arguments: NodeId) -> Call<'t> {
        let (keyspace, native): (&str, _) = match function.keyspace.as_deref() {
            Some(keyspace) => (keyspace, keyspace == "system"),
            None => (self.keyspace, is_native(&function.name)),
        };
        if self.counts_rows(id, function, arguments) {
            let candidate =
                Candidate { function: None, returns: Some("bigint".into()), takes: None, fit: Fit::EXACT };
            return Call { keyspace: Cow::Borrowed(keyspace), candidates: vec![candidate] };
        }
        let mut candidates: Vec<_> = self
            .schema
            .functions(keyspace, &function.name)
            .iter()
            .map(|function| Candidate {
                function: Some(function),
                returns: Some(Cow::Borrowed(&*function.returns)),
                takes: Some(function.arguments.iter().map(|argument| Cow::Borrowed(&**argument)).collect()),
                fit: Fit::ANY,
            })
            .collect();
        if native {
            match signatures(&function.name) {
                Some(signatures) => candidates.extend(signatures.into_iter().map(|signature| Candidate {
                    function: None,
                    returns: Some(Cow::Borrowed(signature.returns)),
                    takes: Some(signature.arguments.into_iter().map(Cow::Borrowed).collect()),
                    fit: Fit::ANY,
                })),
                None => {
                    candidates.push(Candidate { function: None, returns: None, takes: None, fit: Fit::ANY });
                }
            }
        }
        for candidate in &mut candidates {
            if let Some(takes) = &candidate.takes {
                candidate.fit = self.fit(takes, arguments);
            }
        }
        Call { keyspace: Cow::Borrowed(keyspace), candidates }
    }

    /// `count(1)` of a selection is `count(*)`, whatever functions there are.
    fn counts_rows(&self, id: NodeId, function: &FunctionName<'_>, arguments: NodeId) -> bool {
        let mut arguments = self.tree.list(arguments).map(|id| self.tree.node(id));
        function.name == "count"
            && function.keyspace.as_deref().is_none_or(|keyspace| keyspace == "system")
            && self.is_selected(id)
            && matches!(arguments.next(), Some(Some(Node::Literal(..))))
            && arguments.next().is_none()
    }

    /// How arguments fit what a function takes.
    fn fit(&self, takes: &[Cow<'t, str>], arguments: NodeId) -> Fit {
        // So many arguments are compared before they are counted.
        if self.tree.list(arguments).take(takes.len() + 1).count() != takes.len() {
            return Fit::NOT;
        }
        let fits =
            takes.iter().zip(self.tree.list(arguments)).map(|(parameter, id)| self.value(id, parameter));
        fits.fold(Fit::EXACT, Fit::and)
    }

    /// How the value of a node fits a parameter.
    fn value(&self, id: NodeId, parameter: &str) -> Fit {
        let Some(typing) = self.typing(id) else { return Fit::ANY };
        let Some(Some(call)) = self.resolved.get(self.row.place(id)) else { return typing.fit(parameter) };
        let asked = if self.is_selected(id) { Asked::Selected } else { Asked::OneOf(&[parameter]) };
        let returned = call.remaining(asked).into_iter().map(|candidate| candidate.returned(&[parameter]));
        returned.reduce(Fit::or).unwrap_or(Fit::NOT)
    }

    /// Says of every value what it is given to.
    fn receive(&mut self) {
        let row = self.row;
        for part in &row.uses {
            for (id, cql_type) in self.received(part) {
                self.give(id, cql_type.map(|cql_type| vec![cql_type]));
            }
        }
        // What stands below a node was recorded before it: the last ones are given to first.
        let tree = self.tree;
        for (id, node) in tree.nodes(self.row).rev() {
            if let Node::Call { arguments, .. } = node {
                self.pass_on(id, *arguments);
            }
        }
    }

    fn give(&mut self, id: NodeId, types: Option<Vec<String>>) {
        if let (Some(receiver), Some(types)) = (self.receivers.get_mut(self.row.place(id)), types)
            && matches!(receiver, Receiver::Unknown)
        {
            *receiver = Receiver::OneOf(types);
        }
    }

    /// The arguments of a call receive what the functions that it may come to take.
    fn pass_on(&mut self, id: NodeId, arguments: NodeId) {
        let takes: Option<Vec<Vec<String>>> = self
            .possible(id)
            .into_iter()
            .map(|candidate| {
                candidate.takes.as_ref().map(|takes| takes.iter().map(|t| t.clone().into_owned()).collect())
            })
            .collect();
        let Some(takes) = takes.filter(|takes| !takes.is_empty()) else { return };
        for (place, id) in self.tree.list(arguments).enumerate().collect::<Vec<_>>() {
            let types = takes.iter().map(|takes| takes.get(place).cloned()).collect();
            self.give(id, types);
        }
    }

    /// The values of a part of a statement, and the type that each is given to.
    fn received(&self, part: &Use<'_>) -> Vec<(NodeId, Option<String>)> {
        let types: Vec<Option<String>> =
            self.tree.columns(part.columns).map(|name| self.column_type(name)).collect();
        let single = types.first().cloned().flatten();
        let element = |place: usize| {
            single.as_deref().and_then(|whole| parameters(whole).get(place).map(|&inner| inner.to_owned()))
        };
        let collection = single.as_deref().map(head);
        let is_map = collection == Some("map");
        let key = match collection {
            // `DELETE s['x']`: an element of a set is its own key.
            Some("map" | "set") => element(0),
            Some("list") => Some("int".to_owned()),
            _ => None,
        };
        let mut found = vec![(part.key, key)];
        let one = |operator: Operator| match operator {
            Operator::Contains => element(usize::from(is_map)),
            Operator::ContainsKey => element(0),
            _ if part.key != NodeId::NONE => element(usize::from(is_map)),
            _ => match &part.field {
                Some(field) => single.as_deref().and_then(|of| self.field_type(of, field)),
                None => single.clone(),
            },
        };
        match part.place {
            Place::Insert => found.extend(self.tree.list(part.values).zip(types)),
            Place::Where(Operator::In) | Place::If(Operator::In) => {
                let receiver = one(Operator::In);
                for id in self.inside(part.values) {
                    found.push((id, receiver.clone()));
                }
            }
            Place::Where(operator) | Place::If(operator) => found.push((part.values, one(operator))),
            Place::Set if part.key == NodeId::NONE && part.field.is_none() => {
                // A collection may be added to in other forms.
                let plain = single.as_deref().is_some_and(|whole| !whole.contains('<'));
                found.push((part.values, single.clone().filter(|_| plain)));
            }
            Place::Set => found.push((part.values, one(Operator::Equal))),
            Place::WhereToken => found.push((part.values, None)),
            Place::WhereTuple => found.extend(self.inside(part.values).into_iter().zip(types)),
            Place::OrderBy | Place::GroupBy | Place::WhereIndex | Place::Delete => {}
        }
        found
    }

    /// The values of a list in parentheses.
    fn inside(&self, id: NodeId) -> Vec<NodeId> {
        match self.tree.node(id) {
            Some(Node::Tuple(first)) => self.tree.list(*first).collect(),
            _ => Vec::new(),
        }
    }

    /// What a call may come to, by its arguments and by what its value is given to.
    fn possible(&self, id: NodeId) -> Vec<&Candidate<'t>> {
        let Some(Some(call)) = self.resolved.get(self.row.place(id)) else { return Vec::new() };
        match self.receivers.get(self.row.place(id)) {
            Some(Receiver::Selected) => call.remaining(Asked::Selected),
            Some(Receiver::OneOf(types)) => {
                let types: Vec<&str> = types.iter().map(String::as_str).collect();
                call.remaining(Asked::OneOf(&types))
            }
            _ => call.remaining(Asked::Unknown),
        }
    }

    /// Adds the needs of one call.
    fn need(&self, id: NodeId, needs: &mut Needs<'_>) -> Result<(), Refusal> {
        let Some(Node::Call { function, .. }) = self.tree.node(id) else { return Ok(()) };
        let Some(Some(call)) = self.resolved.get(self.row.place(id)) else { return Ok(()) };
        if call.candidates.is_empty() {
            let name = match &function.keyspace {
                Some(keyspace) => format!("{keyspace}.{}", function.name),
                None => function.name.clone().into_owned(),
            };
            let keyspace = call.keyspace.clone().into_owned();
            return Err(Refusal::UnknownFunction { keyspace, name, in_value: !self.is_selected(id) });
        }
        let mut chosen = self.possible(id);
        if chosen.is_empty() {
            chosen = call.candidates.iter().collect();
        }
        for chosen in chosen.into_iter().filter_map(|candidate| candidate.function) {
            execute(&call.keyspace, &function.name, chosen, needs);
        }
        Ok(())
    }
}

/// EXECUTE on a function; of an aggregate also on what it is made of.
fn execute(keyspace: &str, name: &str, function: &Function, needs: &mut Needs<'_>) {
    let mut add = |name: &str, arguments: String, why| {
        let resource = Resource::Function {
            keyspace: Cow::Owned(keyspace.to_owned()),
            name: Cow::Owned(name.to_owned()),
            arguments: Cow::Owned(arguments),
        };
        needs.add(Need::new(Permission::Execute, resource, why));
    };
    add(name, function.arguments.join(", "), "calls the function");
    if let Some(aggregate) = &function.aggregate {
        let state = std::iter::once(&*aggregate.state_type);
        let taken: Vec<&str> = state.chain(function.arguments.iter().map(|argument| &**argument)).collect();
        add(&aggregate.state_function, taken.join(", "), "calls an aggregate with this state function");
        if let Some(function) = &aggregate.final_function {
            add(function, aggregate.state_type.to_string(), "calls an aggregate with this final function");
        }
    }
}

/// The type of an element of a collection.
fn element_type(of: &str) -> Option<String> {
    let place = match head(of) {
        "map" => 1,
        "set" | "list" | "vector" => 0,
        _ => return None,
    };
    parameters(of).get(place).map(|&inner| inner.to_owned())
}
