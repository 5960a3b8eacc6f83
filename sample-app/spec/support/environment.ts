// Before anything else is loaded. In specs the log has no line for each request.
process.env.NODE_ENV = 'test';
