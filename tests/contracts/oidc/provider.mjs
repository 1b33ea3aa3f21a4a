// A provider of OpenID Connect for tests: whoever types a name is who they say. One argument, JSON: {port, clients}.
import Provider from "oidc-provider";

const { port, clients } = JSON.parse(process.argv[2]);
const issuer = `http://localhost:${port}`;

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({ ...client, require_auth_time: true })),
  // A name and an address of the person are there to be had: nobody may keep them.
  claims: { openid: ["sub", "acr"], profile: ["name"], email: ["email"] },
  conformIdTokenClaims: false,
  acrValues: ["two-factors"],
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ["of-a-test"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: "Somebody Named", email: "somebody@named.example" }),
  }),
  // Consent is between a person and their own organisation: it is given.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
});

provider.listen(port, "localhost", () => console.log("ready"));
