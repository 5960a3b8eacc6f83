import { ApiConsumer, Consumer, type ConsumerApi, Detached, Groups, OnMessage } from 'signalbox';
import { same } from './support.js';

interface Shout {
  readonly type: 'shout';
  readonly text: string;
}

@Consumer({ binary: true, subprotocols: ['chat'] })
@Groups('lobby')
export class LobbyConsumer extends ApiConsumer {
  @OnMessage('shout')
  protected onShout({ text }: Shout) {
    this.sendJson({ shouted: text });
  }

  @OnMessage('bare')
  protected async onBare() {}

  @OnMessage('loose')
  protected async onLoose({ text }: { readonly text: string }) {
    await this.sendToGroup('lobby', { type: 'shout', text });
  }

  // @ts-expect-error its message has another type
  @OnMessage('whisper')
  protected onWhisper({ text }: Shout) {
    this.sendJson({ whispered: text });
  }

  @Detached()
  protected async poll(room: number) {
    this.sendJson({ room });
  }

  // @ts-expect-error nobody would hear of its result
  @Detached()
  protected async result() {
    return 1;
  }

  protected async misuse() {
    // @ts-expect-error a message needs a type
    await this.sendToGroup('lobby', { text: 'hi' });
    // @ts-expect-error its parameter is a number
    await this.poll('1');
  }

  protected override onBinary(data: Uint8Array) {
    this.sendBinary(data);
  }
}

// @ts-expect-error misspelt option
Consumer({ binray: true });

same<keyof ConsumerApi<LobbyConsumer>['actions'], never>();
same<keyof ConsumerApi<LobbyConsumer>['observers'], never>();
