import type { Locator, Page, WebSocket } from 'playwright-core';

const PASSWORD = 'correct horse battery';

/** One tab of a browser: the user's input, the shown page, and the frames of its sockets. */
export class Tab {
  /** All received frames, in order, over all sockets. */
  readonly frames: string[] = [];
  /** The errors in the console of the page. */
  readonly errors: string[] = [];
  private socket: WebSocket | undefined;

  constructor(readonly page: Page) {
    page.on('pageerror', ({ message }) => this.errors.push(message));
    page.on('console', (entry) => entry.type() === 'error' && this.errors.push(entry.text()));
    page.on('websocket', (socket) => {
      this.socket = socket;
      socket.on('framereceived', ({ payload }) => this.frames.push(String(payload)));
    });
  }

  /** Signs up by HTTP, which is faster than the form. */
  async signUp(username: string, path: string): Promise<void> {
    const response = await this.page.request.post('/api/sign-up', { data: { username, password: PASSWORD } });
    if (response.status() !== 201) throw new Error(`The sign-up was answered with ${response.status()}.`);
    await this.page.goto(path);
    await this.connected();
  }

  /** Signs up on the log-in page, or on any page that leads to it. */
  async signUpByForm(username: string): Promise<void> {
    await this.page.getByRole('link', { name: 'Make an account' }).click();
    await this.heading('Make an account').waitFor();
    await this.sendAccount(username, 'Sign up');
  }

  async logIn(username: string): Promise<void> {
    await this.heading('Welcome back').waitFor();
    await this.sendAccount(username, 'Log in');
  }

  /** @returns its path */
  async openRoom(name: string, { isPrivate = false } = {}): Promise<string> {
    await this.page.getByLabel('Name of a room').fill(name);
    await this.page.getByLabel('Private').setChecked(isPrivate);
    await this.page.getByRole('button', { name: 'Open room' }).click();
    await this.heading(name).waitFor();
    return new URL(this.page.url()).pathname;
  }

  async write(text: string): Promise<void> {
    await this.page.getByLabel('Message', { exact: true }).fill(text);
    await this.page.keyboard.press('Enter');
  }

  /** Writes a message like a user who reads the page: if the message may not have been sent, looks for it, and sends it again. */
  async say(text: string, timeout: number): Promise<void> {
    const doubt = this.page.locator('#composer-error:not(:empty)');
    await this.write(text);
    await this.message(text).or(doubt).first().waitFor({ timeout });
    while (!(await this.message(text).isVisible())) {
      await this.connected(timeout);
      await this.page.reload();
      await this.page.getByRole('log').locator('.text').first().waitFor({ timeout });
      if (!(await this.message(text).isVisible())) await this.write(text);
      await this.message(text).or(doubt).first().waitFor({ timeout });
    }
  }

  async addMember(username: string): Promise<void> {
    await this.page.getByLabel('Add a member').fill(username);
    await this.page.keyboard.press('Enter');
    await this.member(username).waitFor();
  }

  async removeMember(username: string): Promise<void> {
    await this.page.getByRole('button', { name: `Remove ${username}` }).click();
    await this.member(username).waitFor({ state: 'detached' });
  }

  /** @param timeout milliseconds, if the page may have to wait for the next attempt to connect */
  async connected(timeout?: number): Promise<void> {
    const lamp = this.page.getByText('Connected', { exact: true });
    await lamp.waitFor({ state: 'attached', ...(timeout ? { timeout } : {}) });
  }

  /** Resolves when the page has received all frames that the server has sent so far: a page that becomes visible sends a ping. */
  async caughtUp(): Promise<void> {
    if (!this.socket || this.socket.isClosed()) throw new Error('This tab has no socket.');
    const answered = this.socket.waitForEvent('framereceived', ({ payload }) => String(payload).includes('"ping"'));
    await this.page.evaluate("dispatchEvent(new Event('visibilitychange'))");
    await answered;
  }

  /** Resolves when the present socket is closed. */
  async closed(): Promise<void> {
    if (this.socket && !this.socket.isClosed()) await this.socket.waitForEvent('close');
  }

  heading(name: string): Locator {
    return this.page.getByRole('heading', { name });
  }

  message(text: string): Locator {
    return this.page.getByRole('log').getByText(text, { exact: true });
  }

  user(username: string): Locator {
    return this.page.locator(`#users [data-user="${username}"]`);
  }

  member(username: string): Locator {
    return this.page.locator(`#members [data-member="${username}"]`);
  }

  card(room: string): Locator {
    return this.page.getByRole('listitem').filter({ hasText: room });
  }

  private async sendAccount(username: string, button: string): Promise<void> {
    await this.page.getByLabel('User name').fill(username);
    await this.page.getByRole('textbox', { name: 'Password' }).fill(PASSWORD);
    await this.page.getByRole('button', { name: button }).click();
    await this.connected();
  }
}
