// MQTT.js under Node.js: mqtt_js.mjs NODE_MODULES URL...
import { createRequire } from 'node:module';
import { exchange } from './exchange.mjs';

const [modules, ...urls] = process.argv.slice(2);
const mqtt = createRequire(`${modules}/`)('mqtt');
try {
    for (const [i, url] of urls.entries()) await exchange(mqtt, url, `node${i}`);
    console.log('ok');
    process.exit(0);
} catch (error) {
    console.error(error.message);
    process.exit(1);
}
