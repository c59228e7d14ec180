// The receiver corpus in forty lines of another language: node run_corpus.mjs cases.json URL TOKEN
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { randomBytes, randomUUID } from 'node:crypto';
const [file, url, own] = process.argv.slice(2), { cases } = JSON.parse(readFileSync(file, 'utf8'));
const LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
function ulid() {
  let time = Date.now(), text = '';
  for (let i = 0; i < 10; i += 1) { text = LETTERS[time % 32] + text; time = Math.floor(time / 32); }
  return text + [...randomBytes(16)].map((byte) => LETTERS[byte % 32]).join('');
}
async function send(step, fill) {
  const headers = { 'Content-Type': 'application/json' };
  if (step.token !== 'none') headers.Authorization = `Bearer ${step.token === 'own' ? own : 'sk-wrong'}`;
  if (step.gzip || step.encoding) headers['Content-Encoding'] = step.encoding ?? 'gzip';
  const plain = step.base64 ? Buffer.from(step.base64, 'base64') : Buffer.from(fill(step.body));
  const answer = await fetch(`${url}/api/v1/events/batch/`, { method: 'POST', headers, redirect: 'manual', body: step.gzip ? gzipSync(plain) : plain });
  if (!step.status.includes(answer.status)) return `HTTP ${answer.status} instead of ${step.status}`;
  const json = await answer.json().catch(() => ({}));
  const lacking = (step.has ?? []).find((name) => !json[name]);
  if (lacking) return `no "${lacking}" in the answer`;
  for (const wanted of step.results) {
    const rows = (json.results ?? []).filter((row) => row.event_id === fill(wanted.event_id));
    if (rows.length !== 1) return `${rows.length} results for one event`;
    if (!wanted.status.includes(rows[0].status)) return `${rows[0].status} instead of ${wanted.status.join('|')}`;
    if (rows[0].status === 'rejected' && !(rows[0].error || rows[0].error_message)) return 'rejected without a reason';
  }
}
const failed = new Set();
for (const one of cases) {
  const ids = new Map(), known = (key, make) => ids.get(key) ?? (ids.set(key, make()), ids.get(key));
  const fill = (text) => text.replace(/\{\{(now|(id|ulid|uuid):\d+)\}\}/g, (key) =>
    known(key, () => (key.includes('uuid') ? randomUUID() : key === '{{now}}' ? new Date().toISOString() : ulid())));
  for (const [place, step] of one.steps.entries()) {
    const problem = await send(step, fill).catch((fault) => String(fault.cause ?? fault));
    if (problem) { failed.add(one.requirement); console.log(`FAILED ${one.id} step ${place + 1}: ${problem}`); break; }
  }
}
console.log(`${cases.length} cases; ${failed.size ? `not conformant: ${[...failed].join(' ')}` : 'conformant'}`);
process.exitCode = failed.size ? 1 : 0;
