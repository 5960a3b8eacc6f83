import { type ConnectionStatus, SignalboxError } from 'signalbox/client';
import { find } from './dom.js';
import { sentenceOf } from './errors.js';

const WARN_FROM = 400;

interface Connection {
  readonly $status: ConnectionStatus;
  $onStatus(listener: () => void): unknown;
}

/**
 * The input for messages. It keeps its text until the server has the message; without a connection it says that it waits for one.
 */
export class Composer {
  private readonly form = find('#composer', HTMLFormElement);
  private readonly text = find('#text', HTMLTextAreaElement);
  private readonly button = find('#send', HTMLButtonElement);
  private readonly error = find('#composer-error', HTMLElement);
  private readonly counter = find('#counter', HTMLElement);
  private readonly waiting = find('#composer-waiting', HTMLElement);
  private isSending = false;

  constructor(
    private readonly connection: Connection,
    private readonly send: (text: string) => Promise<unknown>,
  ) {
    connection.$onStatus(() => this.showWaiting());
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.text.addEventListener('keydown', (event) => {
      // The Enter that ends a composed character (Japanese, Chinese …) does not send.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    this.text.addEventListener('input', () => this.showCount());
    this.button.disabled = false;
    // On a phone the keyboard would cover half of the room.
    if (matchMedia('(pointer: fine)').matches) this.text.focus();
  }

  private async submit(): Promise<void> {
    const text = this.text.value.trim();
    if (!text || this.isSending) return this.text.focus();
    this.showSending(true);
    this.error.textContent = '';
    try {
      await this.send(text);
      if (this.text.value.trim() === text) this.text.value = '';
    } catch (error) {
      this.error.textContent = reasonOf(error);
    } finally {
      this.showSending(false);
      this.showCount();
      this.text.focus();
    }
  }

  private showSending(isSending: boolean): void {
    this.isSending = isSending;
    this.button.setAttribute('aria-disabled', String(isSending));
    this.showWaiting();
  }

  private showWaiting(): void {
    this.waiting.hidden = !this.isSending || this.connection.$status === 'open';
  }

  private showCount(): void {
    const length = this.text.value.length;
    this.counter.hidden = length < WARN_FROM;
    this.counter.textContent = `${this.text.maxLength - length} left`;
  }
}

function reasonOf(error: unknown): string {
  const isDoubtful = error instanceof SignalboxError && error.maybeExecuted;
  if (isDoubtful)
    return 'The connection was lost on the way. See whether your message has arrived before you send it again.';
  return `Not sent. ${sentenceOf(error)}`;
}
