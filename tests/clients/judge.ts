// Calls the gateway with the client that openapi-fetch makes of the OpenAPI document's types:
//
//   node judge.js GATEWAY NIC   (the token in the variable TOKEN)
//
// Compiling it is half of the test: each field below is one that the types have.

import createClient from 'openapi-fetch';
import type { paths } from './schema.js';

const [gateway, nic] = process.argv.slice(2) as [string, string];

function want(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const client = createClient<paths>({
  baseUrl: gateway,
  headers: { Authorization: `Bearer ${process.env.TOKEN}` },
  // Each address under a key of its own, which is also what openapi-fetch does by itself.
  querySerializer: { array: { style: 'form', explode: true } },
});
const path = { nicId: nic };

const rehearsed = await client.DELETE('/nics/{nicId}/ipv4', {
  params: { path, query: { ipAddresses: ['10.0.0.21', '10.0.0.22'], dryRun: true } },
});
want(rehearsed.data !== undefined && 'dryRun' in rehearsed.data, rehearsed.error);
want(rehearsed.data.before?.includes('10.0.0.21') === true, rehearsed.data);
want(rehearsed.data.after?.includes('10.0.0.21') === false, rehearsed.data);
want(rehearsed.data.body?.nicId === nic, rehearsed.data);

const changed = await client.DELETE('/nics/{nicId}/ipv4', {
  params: { path, header: { 'Idempotency-Key': 'judge-ts' } },
  body: { ipAddresses: ['10.0.0.21'] },
});
want(changed.data !== undefined && 'requestId' in changed.data, changed.error);
want(changed.data.ipAddresses[0] === '10.0.0.21' && changed.data.operationId !== undefined, changed.data);
const back = await client.POST('/nics/{nicId}/ipv4', {
  params: { path },
  body: { ipAddresses: ['10.0.0.21'] },
});
want(back.response.status === 200, back.error);

// @ts-expect-error: a body that names nothing known is no body of this route.
const odd: Parameters<typeof client.DELETE<'/nics/{nicId}/ipv4', never>>[1]['body'] = { addresses: [] };
void odd;

const denied = await client.DELETE('/nics/{nicId}/ipv4', {
  params: { path, query: { ipAddresses: ['10.9.0.1'] } },
});
want(denied.response.status === 403 && denied.error !== undefined, denied.data);
want(denied.error.code === 'AUTHFAILURE_UNAUTHORIZED_OPERATION', denied.error);
want(denied.error.message.includes('10.9.0.1'), denied.error);
console.log('ok');
