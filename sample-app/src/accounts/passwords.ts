import { randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import { injectable } from 'tsyringe';

/** The least that OWASP advises for argon2id, which is the package's default algorithm. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

@injectable()
export class Passwords {
  /** No user's hash: to be compared with where there is no user, so that both answers take the same time. */
  private readonly decoy = hash(randomBytes(16), cost);

  hash(password: string): Promise<string> {
    return hash(password, cost);
  }

  async verify(passwordHash: string | undefined, password: string): Promise<boolean> {
    const matches = await verify(passwordHash ?? (await this.decoy), password);
    return matches && passwordHash !== undefined;
  }
}
