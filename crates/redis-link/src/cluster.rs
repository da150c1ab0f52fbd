//! Requests to a cluster.
//!
//! While a slot moves, a node may refuse only some of the commands of a pipeline, and the client crate
//! does not tell which. So several commands are a transaction: if one of them is refused, none is
//! carried out, and all can be sent again.

use redis::aio::ConnectionLike as _;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr};
use redis::{FromRedisValue as _, Pipeline, RedisError, Value};
use tokio::task::JoinSet;

use crate::cause::kind;
use crate::error::ErrorKind;
use crate::request::{Request, Words, command};
use crate::scan::slots_of_primaries;
use crate::tracking::{Slots, View};

/// Sends a request to the primary of its keys.
pub(crate) async fn send(
    connection: &mut ClusterConnection,
    request: &Request<'_>,
) -> Result<Value, RedisError> {
    if let Request::One(words) = request {
        return connection.req_packed_command(&command(words)).await;
    }
    let pipeline = transaction(Pipeline::new(), request);
    let count = pipeline.len();
    let replies = connection.req_packed_commands(&pipeline, 0, count).await?;
    Ok(reply(request, replies))
}

/// Sends a request to a node that is getting the slot of its keys, and would refuse it otherwise.
pub(crate) async fn ask(
    connection: &mut ClusterConnection,
    request: &Request<'_>,
    (host, port): (&str, u16),
) -> Result<Value, RedisError> {
    let mut pipeline = Pipeline::new();
    // It is valid for one command, or for one transaction.
    pipeline.cmd("ASKING");
    match request {
        Request::One(words) => drop(pipeline.add_command(command(words))),
        _ => pipeline = transaction(pipeline, request),
    }
    let (count, host) = (pipeline.len(), host.to_owned());
    let node = SingleNodeRoutingInfo::ByAddress { host, port };
    let mut replies = connection.route_pipeline(pipeline, 0, count, node).await?;
    match request {
        Request::One(_) => Ok(replies.pop().unwrap_or(Value::Nil)),
        _ => Ok(reply(request, replies.split_off(1))),
    }
}

/// Sends a command to the primary of a slot.
pub(crate) async fn send_to(
    connection: &mut ClusterConnection,
    words: Words<'_>,
    slot: Slot,
) -> Result<Value, RedisError> {
    let primary = SingleNodeRoutingInfo::SpecificNode(Route::with_slot(slot, SlotAddr::Master));
    connection.route_command(command(words), RoutingInfo::SingleNode(primary)).await
}

/// Returns the slots of the primaries that the connection lacks. The client crate sends the commands for
/// such a slot to any other node, which refuses them, and then delays all commands while it tries to
/// connect to the missing node.
pub(crate) async fn missing(connection: &mut ClusterConnection) -> Result<Slots, RedisError> {
    let ranges = connection.req_packed_command(&command(&[b"CLUSTER", b"SLOTS"])).await?;
    let mut asks = JoinSet::new();
    let primaries = slots_of_primaries(ranges.extract_error()?.into()).unwrap_or_default();
    for slots in primaries.into_values() {
        let mut connection = connection.clone();
        asks.spawn(async move { (is_connected(&mut connection, &slots).await, slots) });
    }
    let asked = asks.join_all().await;
    Ok(asked
        .into_iter()
        .filter(|(is_connected, _)| !is_connected)
        .flat_map(|(_, slots)| slots)
        .collect())
}

/// Returns whether commands for these slots of a primary arrive there.
async fn is_connected(connection: &mut ClusterConnection, slots: &[u16]) -> bool {
    let Some((slot, primary)) = slots.first().and_then(|slot| Some((*slot, Slot::new(*slot)?)))
    else {
        return true;
    };
    let answer = send_to(connection, &[b"CLUSTER", b"NODES"], primary).await;
    match answer.and_then(Value::extract_error) {
        Ok(nodes) => String::from_redis_value(nodes)
            .is_ok_and(|nodes| View::parse(&nodes).is_some_and(|view| view.slots.contains(slot))),
        // Another error than an outage: the login may not ask.
        Err(cause) => kind(&cause) != ErrorKind::Unavailable,
    }
}

fn transaction(mut pipeline: Pipeline, request: &Request<'_>) -> Pipeline {
    let mut commands = request.commands();
    // In a transaction, this command would not wait.
    let wait = commands.pop_if(|_| request.waits());
    pipeline.cmd("MULTI");
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline.cmd("EXEC");
    if let Some(wait) = wait {
        pipeline.add_command(wait);
    }
    pipeline
}

/// Returns the replies to the commands of a transaction, or those with the error that prevented it.
fn reply(request: &Request<'_>, mut replies: Vec<Value>) -> Value {
    if replies.iter().any(|reply| matches!(reply, Value::ServerError(_))) {
        return Value::Array(replies);
    }
    let waited = replies.pop_if(|_| request.waits());
    match replies.pop() {
        Some(Value::Array(mut carried_out)) => {
            carried_out.extend(waited);
            Value::Array(carried_out)
        }
        other => other.unwrap_or(Value::Nil),
    }
}
