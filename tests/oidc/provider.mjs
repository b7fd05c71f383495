// A real OIDC provider on loopback, with a hand on everything that can go wrong with one.
//
//   node provider.mjs MODULES PORT PACKAGE
//
// MODULES is where the packages are installed, and PACKAGE the provider's name there. Its version 9 names
// Ed25519 as RFC 9864 does, 8 by the older name of the family. Commands come as lines of JSON on stdin, each with
// a `do`, and each is answered by one line of JSON on stdout; the first line there says where the
// provider listens. It exits with its stdin, so that no killed test leaves it behind.

import { generateKeyPair, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const [modules, port, name] = process.argv.slice(2);
const found = createRequire(pathToFileURL(`${modules}/`)).resolve(name);
const { default: Provider } = await import(pathToFileURL(found));

// What the provider has to say about itself is for people; stdout is for the test.
console.info = console.error;

const PATHS = { discovery: '/.well-known/openid-configuration', keys: '/jwks' };
/** Under this prefix every path is as the provider made it, without fault and without counting. */
const ELSEWHERE = '/elsewhere';
const HUGE = 10 * 1024 * 1024;

const KINDS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  [name === 'oidc-provider' ? 'EdDSA' : 'Ed25519']: ['ed25519', {}],
};

/** A new key of each kind. */
async function newKeys() {
  const made = Object.entries(KINDS).map(async ([alg, [kind, options]]) => {
    const { privateKey } = await promisify(generateKeyPair)(kind, options);
    return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() };
  });
  return Promise.all(made);
}

const state = {
  /** All that are published, in order: the first one of a kind signs. */
  keys: await newKeys(),
  /** What a request for a path meets, by `discovery` or `keys`. */
  faults: {},
  /** Requests that are left hanging. */
  hanging: [],
  /** How often each was asked for. */
  asked: { discovery: 0, keys: 0 },
  /** The provider's own request handler. */
  answer: undefined,
};

const server = createServer((request, response) => {
  front(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
});

let issuer;

/** Listens; again, where it has been shut. */
async function listen(at) {
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  issuer = `http://127.0.0.1:${server.address().port}`;
}

/** A provider with the keys of now takes the place of the one before. */
function install() {
  const provider = new Provider(issuer, {
    jwks: { keys: state.keys },
    clients: [
      {
        client_id: 'billing',
        client_secret: 'not-a-secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    extraTokenClaims: () => ({ groups: ['netops', 'robots'] }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        // `urn:zec-gateway:ES256` is the gateway, with tokens of that algorithm.
        getResourceServerInfo: (_context, resource) => ({
          scope: '',
          audience: 'zec-gateway',
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: resource.split(':').at(-1) } },
        }),
      },
    },
  });
  state.answer = provider.callback();
}

/** Every request comes by here. */
async function front(request, response) {
  if (request.url.startsWith(`${ELSEWHERE}/`)) {
    request.url = request.url.slice(ELSEWHERE.length);
    return state.answer(request, response);
  }
  const name = Object.keys(PATHS).find((key) => PATHS[key] === request.url);
  if (name === undefined) return state.answer(request, response);
  state.asked[name] += 1;
  const fault = state.faults[name];
  if (fault === undefined) return state.answer(request, response);
  return FAULTS[fault](response, request.url);
}

/** The document as it should have been: it is what a careless client would take all the same. */
async function good(path) {
  const answer = await fetch(`${issuer}${ELSEWHERE}${path}`);
  return answer.json();
}

function reply(response, status, type, body) {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

const FAULTS = {
  /** Takes the request and says nothing, until the fault is mended. */
  hang: async (response) => state.hanging.push(response),
  error: async (response, path) =>
    reply(response, 500, 'application/json', JSON.stringify(await good(path))),
  html: async (response) =>
    reply(response, 200, 'text/html', '<!doctype html><title>Sign in</title>'),
  empty: async (response, path) =>
    reply(response, 200, 'application/json', path === PATHS.keys ? '{"keys":[]}' : '{}'),
  huge: async (response, path) => {
    const text = JSON.stringify({ padding: 'x'.repeat(HUGE), ...(await good(path)) });
    reply(response, 200, 'application/json', text);
  },
  redirect: async (response, path) => {
    response.writeHead(302, { location: `${issuer}${ELSEWHERE}${path}`, 'content-length': 0 });
    response.end();
  },
  /** A discovery document of somebody else, with good keys: the issuer in it must be ours. */
  foreign: async (response, path) => {
    const text = JSON.stringify({ ...(await good(path)), issuer: 'https://sso.example.net' });
    reply(response, 200, 'application/json', text);
  },
};

const COMMANDS = {
  /** New keys sign from now on; the old ones stay published, for the tokens that are about. */
  rotate: async () => renew([...(await newKeys()), ...state.keys]),
  /** New keys are published, and do not sign yet: the way that providers announce them. */
  announce: async () => renew([...state.keys, ...(await newKeys())]),
  /** The keys that were announced last sign from now on. */
  promote: async () => renew([...state.keys.slice(-3), ...state.keys.slice(0, -3)]),
  /** New keys, and the old ones are gone. */
  replace: async () => renew(await newKeys()),
  /** Keys or discovery (`of`) meet this fault; none without `fault`. */
  fault: async ({ of, fault }) => {
    if (!(of in PATHS) || (fault !== undefined && !(fault in FAULTS))) throw new Error('what?');
    state.faults[of] = fault;
    for (const response of state.hanging.splice(0)) response.destroy();
    return {};
  },
  /** Nobody listens any more. */
  shut: async () => {
    const shut = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await shut;
    return {};
  },
  /** Listens again, where it did before. */
  open: async () => {
    await listen(Number(new URL(issuer).port));
    return {};
  },
  /** How often the discovery document and the keys were asked for so far. */
  asked: async () => state.asked,
};

async function renew(keys) {
  state.keys = keys;
  install();
  return {};
}

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

await listen(Number(port));
install();
say({ issuer });

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  say(await COMMANDS[command.do](command));
}
process.exit(0);
