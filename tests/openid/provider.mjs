// A real provider on loopback: node provider.mjs REDIRECT. Prints its issuer, and signs in whoever fills in its form.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

// Everybody has an address of their own; of all but eva it is verified.
const findAccount = (_, id) => ({
  accountId: id,
  claims: () => ({ sub: id, email: `${id}@drive.example`, email_verified: id !== 'eva', preferred_username: id }),
});

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'sarang', client_secret: 'kettle & teapot: 77%', redirect_uris: [process.argv[2]] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'] },
    findAccount,
  });
  provider.on('grant.error', (_, error) => console.error(error.message));
  server.on('request', provider.callback());
  console.log(issuer);
});
