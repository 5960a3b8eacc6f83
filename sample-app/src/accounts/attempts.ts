import { Clock, Throttle } from 'signalbox';
import { injectable } from 'tsyringe';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/**
 * Limits how often one address may try to log in or to sign up, and how often one account may be tried: this prevents guessing of
 * passwords, and hashing is expensive.
 */
@injectable()
export class Attempts {
  private readonly logInsOfAccount: Throttle;
  private readonly logInsOfAddress: Throttle;
  private readonly signUpsOfAddress: Throttle;

  constructor(clock: Clock) {
    const logIn = { text: 'Too many attempts to log in.' };
    this.logInsOfAccount = new Throttle(clock, { ...logIn, burst: 10, every: MINUTE });
    this.logInsOfAddress = new Throttle(clock, { ...logIn, burst: 30, every: 10 * SECOND });
    this.signUpsOfAddress = new Throttle(clock, {
      text: 'Too many attempts to sign up.',
      burst: 30,
      every: 10 * SECOND,
    });
  }

  /**
   * Counts the attempt before the password is checked, whether or not the account exists. A successful attempt does not count.
   *
   * @throws Throttled
   */
  async logIn<T>(username: string, network: string, attempt: () => Promise<T>): Promise<T> {
    this.logInsOfAddress.take(network);
    this.logInsOfAccount.take(username);
    const success = await attempt();
    this.logInsOfAccount.forget(username);
    this.logInsOfAddress.giveBack(network);
    return success;
  }

  /** @throws Throttled */
  signUp(network: string): void {
    this.signUpsOfAddress.take(network);
  }
}
