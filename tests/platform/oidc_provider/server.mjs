// The certified oidc-provider on a free loopback port, with four people, and a way for tests to make it misbehave:
// POST /test {"claims": {…}, "alg": "none", "header": {…}, "sign": "other"} changes the ID tokens of later answers,
// {"rotate": true} replaces its keys, {"redirect_uris": […]} says where its one client is, {} makes it behave again.
// It prints its issuer once it listens.

import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import * as jose from 'jose'
import Provider, { errors } from 'oidc-provider'

const people = {
  mina: { name: 'Kim Mina', preferred_username: 'mina', email: 'mina@city.example', groups: ['/hub/admins', 'staff'] },
  jun: { name: 'Lee Jun', preferred_username: 'jun', email: 'jun@city.example', groups: ['/hub/analysts'] },
  sora: { name: 'Park Sora', preferred_username: 'sora', groups: ['staff'] },
  nobody: { name: 'Nobody' },
}

let provider
let keys
let hostile = {}
let redirect_uris = ['http://localhost/login/oidc/callback']
const server = createServer()

async function start(issuer) {
  const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
  const kid = crypto.randomUUID()
  keys = { current: privateKey, kid, other: (await jose.generateKeyPair('ES256', { extractable: true })).privateKey }
  provider = new Provider(issuer, {
    jwks: { keys: [{ ...(await jose.exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' }] },
    clients: [
      {
        client_id: 'hanmaru',
        client_secret: 'a secret for tests',
        redirect_uris,
        id_token_signed_response_alg: 'ES256',
      },
    ],
    pkce: { required: () => true },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email'],
      groups: ['groups'],
      amr: null,
    },
    conformIdTokenClaims: process.env.CLAIMS_IN_ID_TOKEN !== 'yes',
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    cookies: { keys: ['a key for tests'] },
    async findAccount(_, id) {
      const person = people[id]
      if (!person) throw new errors.AccessDenied(undefined, 'nobody of this name')
      return { accountId: id, claims: async () => ({ sub: id, ...person }) }
    },
    ttl: { Session: 600, Grant: 600, Interaction: 600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
  })
}

async function forged(token) {
  const { claims = {}, header = {}, alg, sign } = hostile
  const content = { ...jose.decodeJwt(token), ...claims }
  for (const [name, value] of Object.entries(content)) if (value === null) delete content[name]
  const b64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  if (alg === 'none') return `${b64({ alg })}.${b64(content)}.`
  if (alg === 'HS256') {
    const secret = new TextEncoder().encode('a secret for tests'.padEnd(32, ' '))
    return new jose.SignJWT(content).setProtectedHeader({ alg, ...header }).sign(secret)
  }
  const protectedHeader = { alg: 'ES256', kid: keys.kid, ...header }
  return new jose.SignJWT(content).setProtectedHeader(protectedHeader).sign(sign === 'other' ? keys.other : keys.current)
}

// Answers of the token endpoint pass through here.
function tampering(response) {
  const chunks = []
  const end = response.end.bind(response)
  response.write = (chunk) => chunks.push(Buffer.from(chunk))
  response.end = async (chunk) => {
    if (chunk) chunks.push(Buffer.from(chunk))
    let body = Buffer.concat(chunks)
    try {
      const answer = JSON.parse(body)
      if (answer.id_token) body = Buffer.from(JSON.stringify({ ...answer, id_token: await forged(answer.id_token) }))
      if (hostile.answer !== undefined) body = Buffer.from(hostile.answer)
    } catch {}
    response.setHeader('content-length', body.length)
    end(body)
  }
}

server.on('request', async (request, response) => {
  if (request.url === '/test') {
    hostile = JSON.parse(await new Response(Readable.toWeb(request)).text())
    redirect_uris = hostile.redirect_uris ?? redirect_uris
    if (hostile.rotate || hostile.redirect_uris) await start(provider.issuer)
    response.end('{}')
  } else {
    if (hostile.down) return response.writeHead(503).end()
    if (request.url === '/token' && Object.keys(hostile).length) tampering(response)
    if (hostile.issuer && request.url === '/.well-known/openid-configuration') {
      return response.setHeader('content-type', 'application/json').end(JSON.stringify({ issuer: hostile.issuer }))
    }
    provider.callback()(request, response)
  }
})

server.listen(0, '127.0.0.1', async () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  await start(issuer)
  console.log(issuer)
})
process.stdin.resume().on('end', () => process.exit()) // whoever started it is gone
