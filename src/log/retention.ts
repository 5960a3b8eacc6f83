export class Retention {
  constructor(_o: object) {}
  start(): void {}
  async stop(): Promise<void> {}
}
