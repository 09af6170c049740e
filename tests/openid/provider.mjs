// A real provider on loopback, over TLS: node provider.mjs REDIRECT KEY CERTIFICATE. Prints its issuer, and signs in whoever fills in its form.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

// Everybody has an address of their own; of all but eva it is verified.
const findAccount = (_, id) => ({
  accountId: id,
  claims: () => ({ sub: id, email: `${id}@drive.example`, email_verified: id !== 'eva', preferred_username: id }),
});

const [redirect, key, cert] = process.argv.slice(2);
const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) });
server.listen(0, 'localhost', () => {
  const issuer = `https://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'sarang', client_secret: 'kettle & teapot: 77%', redirect_uris: [redirect] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'] },
    findAccount,
  });
  provider.on('grant.error', (_, error) => console.error(error.message));
  server.on('request', provider.callback());
  console.log(issuer);
});
