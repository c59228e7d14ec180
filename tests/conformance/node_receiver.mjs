// A receiver in Node.js with nothing but its standard library: another language, another head.
// Usage: node node_receiver.mjs TOKEN      prints `listening on http://127.0.0.1:PORT`
import http from 'node:http';
import zlib from 'node:zlib';

const TOKEN = process.argv[2];
const MAX_EVENTS = 1000, MAX_EVENT_BYTES = 262144, MAX_BODY_BYTES = 8388608;
const stored = new Map();

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const TIME = /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

const text = (v) => typeof v === 'string' && v.length > 0;
const oneOf = (...words) => (v) => words.includes(v);
const matches = (pattern) => (v) => typeof v === 'string' && pattern.test(v);
const wp = matches(/^WP[0-9]{2,}$/);
const count = (v) => Number.isSafeInteger(v) && v >= 0;
const positive = (v) => count(v) && v > 0;
const flag = (v) => typeof v === 'boolean';
const listOf = (rule) => (v) => Array.isArray(v) && v.every(rule);
const isObject = (v) => typeof v === 'object' && v !== null && !Array.isArray(v);
const moment = (v) => {
  const m = typeof v === 'string' && TIME.exec(v);
  return Boolean(m) && +m[3] >= 1 && +m[2] >= 1 && +m[2] <= 12 && +m[3] <= new Date(+m[1], +m[2], 0).getDate();
};
const shape = (fields) => (v) => isObject(v) && faults(v, fields).length === 0;
const lane = oneOf('planned', 'claimed', 'in_progress', 'for_review', 'done', 'blocked', 'canceled');
const laneFrom = (v) => lane(v) || ['approved', 'in_review', 'genesis'].includes(v);
const laneTo = (v) => lane(v) || ['approved', 'in_review'].includes(v);
const fourLane = oneOf('planned', 'doing', 'for_review', 'done');
const evidence = shape({
  repos: (v) => Array.isArray(v) && v.length > 0 && v.every(shape({ repo: text, branch: text, commit: text })),
  verification: listOf(shape({ command: text, result: text })),
  review: shape({ reviewer: text, verdict: text }),
});
const gate = (...conclusions) => ({
  gate_name: text, 'gate_type?': text, conclusion: oneOf(...conclusions), 'external_provider?': text,
  check_run_id: positive, check_run_url: text, delivery_id: text, 'pr_number?': positive,
});
const actor = { mission_id: text, actor: text };

const PAYLOADS = {
  WPCreated: { wp_id: wp, title: text, 'dependencies?': listOf(wp), feature_slug: text },
  WPAssigned: { wp_id: wp, agent_id: text, phase: oneOf('implementation', 'review'), 'retry_count?': count },
  FeatureCreated: { feature_slug: text, feature_number: matches(/^[0-9]{3}$/), target_branch: text, wp_count: count, 'created_at?': moment },
  FeatureCompleted: { feature_slug: text, 'completed_at?': moment, total_wps: count, 'total_duration?': text },
  HistoryAdded: { wp_id: wp, entry_type: oneOf('note', 'review', 'error', 'comment'), entry_content: text, 'author?': text },
  ErrorLogged: { 'wp_id?': wp, error_type: oneOf('validation', 'runtime', 'network', 'auth', 'unknown'), error_message: text, 'stack_trace?': text, 'agent_id?': text },
  DependencyResolved: { wp_id: wp, dependency_wp_id: wp, resolution_type: oneOf('completed', 'skipped', 'merged') },
  MissionStarted: { ...actor, mission_type: text, initial_phase: text },
  MissionCompleted: { ...actor, mission_type: text, final_phase: text },
  MissionCancelled: { ...actor, reason: text, 'cancelled_wp_ids?': listOf(wp) },
  PhaseEntered: { ...actor, phase_name: text, 'previous_phase?': text },
  ReviewRollback: { ...actor, review_ref: text, target_phase: text, 'affected_wp_ids?': listOf(wp) },
  GatePassed: gate('success'),
  GateFailed: gate('failure', 'timed_out', 'cancelled', 'action_required'),
};

function statusShape(p) {
  if ('previous_status' in p || 'new_status' in p)
    return { wp_id: wp, previous_status: fourLane, new_status: fourLane, 'changed_by?': text, 'feature_slug?': text };
  const common = { wp_id: wp, 'from_lane?': laneFrom, to_lane: laneTo };
  if (!['force', 'reason', 'execution_mode', 'review_ref', 'evidence'].some((name) => name in p))
    return { ...common, 'actor?': text, 'feature_slug?': text, 'mission_slug?': text };
  return {
    ...common, [p.mission_slug ? 'mission_slug' : 'feature_slug']: text, actor: text, 'force?': flag,
    [p.force === true ? 'reason' : 'reason?']: text, execution_mode: oneOf('worktree', 'direct_repo'),
    'review_ref?': text, [p.to_lane === 'done' ? 'evidence' : 'evidence?']: evidence,
  };
}

function faults(value, fields) {
  return Object.entries(fields).flatMap(([key, rule]) => {
    const name = key.replace('?', ''), given = Object.hasOwn(value, name) ? value[name] : undefined;
    if (key.endsWith('?') && (given === undefined || given === null)) return [];
    return rule(given) ? [] : [given === undefined ? `${name} is missing` : `${name} is not valid`];
  });
}

const ENVELOPE = {
  event_id: matches(ULID), event_type: text, aggregate_id: text,
  aggregate_type: oneOf('WorkPackage', 'Feature', 'Mission', 'Build', 'MissionDossier'),
  payload: isObject, timestamp: moment, node_id: text,
  lamport_clock: count, 'causation_id?': matches(ULID), 'correlation_id?': matches(ULID),
  project_uuid: matches(UUID4), 'project_slug?': text, 'team_slug?': text,
  'schema_version?': matches(/^[13]\.[0-9]+\.[0-9]+$/),
  'data_tier?': (v) => Number.isInteger(v) && v >= 0 && v <= 4,
};

function judge(event) {
  if (!isObject(event)) return ['the element is no object'];
  const found = faults(event, ENVELOPE);
  if (found.length) return found;
  const fields = event.event_type === 'WPStatusChanged' ? statusShape(event.payload) : PAYLOADS[event.event_type];
  if (!fields) return [`event_type ${event.event_type.slice(0, 80)} is unknown`];
  return faults(event.payload, fields).map((fault) => `payload.${fault}`);
}

const canonical = (v) => JSON.stringify(v, (_, inner) =>
  isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner);

function take(event) {
  const id = isObject(event) && typeof event.event_id === 'string' ? event.event_id : null;
  const refused = (error, category) => ({ status: 'rejected', event_id: id, error_category: category, error_message: error.slice(0, 400) });
  if (Buffer.byteLength(JSON.stringify(event)) > MAX_EVENT_BYTES)
    return { ...refused('larger than max_event_bytes', 'oversize'), status: 'failed_permanent' };
  const found = judge(event);
  if (found.length) return refused(found.join('; '), 'schema_mismatch');
  const content = canonical(event), known = stored.get(id);
  if (known === undefined) { stored.set(id, content); return { status: 'success', event_id: id, stored_at: Date.now() }; }
  return known === content ? { status: 'duplicate', event_id: id } : refused('this id holds another content', 'id_conflict');
}

class Refusal extends Error { constructor(status, error) { super(error); this.status = status; } }

function inflate(body, encoding) {
  if (!encoding || encoding === 'identity') return body;
  if (encoding !== 'gzip') throw new Refusal(415, `Content-Encoding ${encoding} is not spoken here`);
  try { return zlib.gunzipSync(body, { maxOutputLength: MAX_BODY_BYTES + 1 }); } catch (fault) {
    throw new Refusal(fault.code === 'ERR_BUFFER_TOO_LARGE' ? 413 : 400, 'the gzip body cannot be read');
  }
}

function answer(request, body) {
  if (request.url === '/api/v1/sync/health/')
    return [200, { status: 'ok', server_instance_id: 'node-1', max_batch_events: MAX_EVENTS, max_event_bytes: MAX_EVENT_BYTES,
      max_body_bytes: MAX_BODY_BYTES, capabilities: ['auth', 'deploy-meta', 'size-limit'] }];
  if (request.url !== '/api/v1/events/batch/') throw new Refusal(404, 'no such page');
  if (request.method !== 'POST') throw new Refusal(405, 'only POST');
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  if (scheme.toLowerCase() !== 'bearer' || token !== TOKEN) throw new Refusal(401, 'who are you?');
  const plain = inflate(body, request.headers['content-encoding']);
  if (plain.length > MAX_BODY_BYTES) throw new Refusal(413, 'the body is too large');
  let batch;
  try { batch = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain)); } catch (fault) {
    throw new Refusal(400, `the body is no JSON: ${fault.name}`);
  }
  if (!isObject(batch) || !Array.isArray(batch.events)) throw new Refusal(400, 'events must be a list');
  if (batch.events.length > MAX_EVENTS) throw new Refusal(413, `at most ${MAX_EVENTS} events`);
  return [200, { took: batch.events.length, results: batch.events.map(take).reverse() }];
}

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    let status, content;
    try { [status, content] = answer(request, Buffer.concat(chunks)); } catch (fault) {
      status = fault.status ?? 400;
      content = { error: fault.status ? fault.message : 'the request cannot be read' };
      if (status === 400) content.details = content.error;
    }
    const headers = { 'Content-Type': 'application/json; charset=utf-8', Connection: 'close' };
    if (status === 401) headers['WWW-Authenticate'] = 'Bearer realm="node"';
    if (status === 405) headers.Allow = 'POST';
    response.writeHead(status, headers).end(JSON.stringify(content));
  });
});
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
