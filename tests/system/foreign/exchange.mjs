// What MQTT.js does with the broker, in Node.js and in a browser alike. Throws when something is not as MQTT says.

const PATIENCE_MS = 20000;

function withDeadline(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: nothing within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function expect(is, wanted, what) {
    const [a, b] = [JSON.stringify(is), JSON.stringify(wanted)];
    if (a !== b) throw new Error(`${what}: ${a}, expected ${b}`);
}

// A client, and what it was sent in the order it came.
async function connect(mqtt, url, protocolVersion, options = {}) {
    const client = mqtt.connect(url, {
        protocolVersion,
        protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
        reconnectPeriod: 0,
        ...options,
    });
    const inbox = [];
    const waiting = [];
    client.on('message', (topic, payload, packet) => {
        const message = { topic, text: payload.toString(), packet };
        if (waiting.length) waiting.shift()(message);
        else inbox.push(message);
    });
    const next = (what) =>
        withDeadline(inbox.length ? Promise.resolve(inbox.shift()) : new Promise((done) => waiting.push(done)), what);
    await withDeadline(
        new Promise((done, fail) => {
            client.once('connect', done);
            client.once('error', fail);
        }),
        'CONNACK');
    return { client, next };
}

async function everyQosInOrder(mqtt, url, version, place) {
    const { client, next } = await connect(mqtt, url, version);
    await client.subscribeAsync(`${place}/+/#`, { qos: 2 });
    for (const qos of [0, 1, 2]) {
        const count = 50;
        const sent = [];
        for (let i = 0; i < count; ++i) sent.push(client.publishAsync(`${place}/q/${qos}`, String(i), { qos }));
        for (let i = 0; i < count; ++i) {
            const message = await next(`message ${i} of QoS ${qos}`);
            expect([message.topic, message.text, message.packet.qos], [`${place}/q/${qos}`, String(i), qos], 'a message');
        }
        await withDeadline(Promise.all(sent), `acknowledgements of QoS ${qos}`);
    }
    const large = 'x'.repeat(300000); // many WebSocket frames
    await client.publishAsync(`${place}/large`, large, { qos: 1 });
    expect((await next('a large message')).text.length, large.length, 'its length');
    await client.unsubscribeAsync(`${place}/+/#`);
    await client.endAsync();
}

async function retainedAndWill(mqtt, url, version, place) {
    const dying = await connect(mqtt, url, version, {
        will: { topic: `${place}/will`, payload: 'gone', qos: 1, retain: false },
    });
    await dying.client.publishAsync(`${place}/state`, 'on', { qos: 1, retain: true });
    const { client, next } = await connect(mqtt, url, version);
    await client.subscribeAsync([`${place}/state`, `${place}/will`], { qos: 1 });
    const kept = await next('the retained message');
    expect([kept.text, kept.packet.retain], ['on', true], 'the retained message');
    dying.client.stream.destroy();
    expect((await next('the will')).text, 'gone', 'the will');
    await client.publishAsync(`${place}/state`, '', { qos: 1, retain: true });
    await client.endAsync();
}

async function properties(mqtt, url, place) {
    const { client, next } = await connect(mqtt, url, 5, { properties: { topicAliasMaximum: 5, receiveMaximum: 2 } });
    await client.subscribeAsync(`${place}/request`, { qos: 1, properties: { subscriptionIdentifier: 7 } });
    await client.publishAsync(`${place}/request`, 'question', {
        qos: 1,
        properties: {
            responseTopic: `${place}/response`,
            correlationData: new TextEncoder().encode('42'),
            contentType: 'text/plain',
            messageExpiryInterval: 100,
            userProperties: { unit: 'degC' },
        },
    });
    const { properties: p } = (await next('a request')).packet;
    expect(
        [p.responseTopic, new TextDecoder().decode(p.correlationData), p.contentType, p.userProperties.unit, p.subscriptionIdentifier],
        [`${place}/response`, '42', 'text/plain', 'degC', 7],
        'properties');
    if (!(p.messageExpiryInterval > 90 && p.messageExpiryInterval <= 100)) throw new Error('message expiry is not what is left of it');
    await client.endAsync();
}

export async function exchange(mqtt, url, place) {
    for (const version of [3, 4, 5]) {
        await everyQosInOrder(mqtt, url, version, `${place}/${version}`);
        await retainedAndWill(mqtt, url, version, `${place}/${version}`);
    }
    await properties(mqtt, url, place);
}
