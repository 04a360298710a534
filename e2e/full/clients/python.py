# What programs ask of an engine with Debian's python3-docker, and what they got: printed as JSON, the same on any engine.
import docker
import io
import json
import os
import tarfile
import urllib.request

client = docker.from_env()
image = os.environ['IMAGE']
network = client.networks.create('python')
volume = client.volumes.create('python')
got = {}


def archive(name, text):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode='w') as tar:
        member = tarfile.TarInfo(name)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return packed.getvalue()


web = client.containers.run(
    image,
    ['sh', '-c', 'echo page >/data/index.html; httpd -p 80 -h /data; echo err >&2; echo out; exec tail -f /dev/null'],
    detach=True,
    name='python-web',
    hostname='web',
    network='python',
    ports={'80/tcp': None},
    volumes={'python': {'bind': '/data', 'mode': 'rw'}},
    mem_limit='64m',
    labels={'of': 'python'},
)
try:
    # By then its server listens.
    next(web.logs(stream=True, stderr=False))
    web.reload()
    port = web.ports['80/tcp'][0]['HostPort']
    got['first try'] = urllib.request.urlopen(f"http://{os.environ['ADDRESS']}:{port}/index.html").read().decode()
    got['logs'] = [web.logs(stderr=False).decode(), web.logs(stdout=False).decode()]
    got['exec'] = [
        web.exec_run(['sh', '-c', 'echo $WORD; exit 3'], environment={'WORD': 'hello'}).exit_code,
        web.exec_run(['sh', '-c', 'echo out; echo err >&2'], demux=True).output == (b'out\n', b'err\n'),
    ]
    talk = client.api.exec_create(web.id, ['head', '-n', '1'], stdin=True, tty=True)
    stream = client.api.exec_start(talk['Id'], tty=True, socket=True)
    stream._sock.sendall(b'said\n')
    got['talk'] = b'said' in stream.read(64)
    stream.close()
    web.put_archive('/tmp', archive('file', b'copied'))
    pieces, facts = web.get_archive('/tmp/file')
    with tarfile.open(fileobj=io.BytesIO(b''.join(pieces))) as tar:
        got['copy'] = [facts['name'], tar.extractfile('file').read().decode()]
    got['limit'] = client.api.inspect_container(web.id)['HostConfig']['Memory']
    got['names'] = client.containers.run(image, ['wget', '-qO-', 'http://web/index.html'], network='python', remove=True).decode()
    got['list'] = [one.name for one in client.containers.list(filters={'label': 'of=python'})]
    got['stats'] = web.stats(stream=False)['memory_stats']['limit']
    built, _ = client.images.build(fileobj=io.BytesIO(f'FROM {image}\nRUN echo built >/built\n'.encode()), tag='python-built', rm=True)
    saved = b''.join(client.images.get('python-built').save(named=True))
    client.images.remove('python-built')
    got['load'] = client.images.load(saved)[0].tags
    got['build'] = client.containers.run('python-built', ['cat', '/built'], remove=True).decode()
    try:
        client.api.create_container('no-such-image:at-all')
    except docker.errors.ImageNotFound as error:
        got['refusal'] = error.status_code
    watched = client.events(decode=True, filters={'container': web.id, 'event': 'die'})
    web.kill()
    got['event'] = next(watched)['Action']
    watched.close()
    got['status'] = web.wait()['StatusCode']
finally:
    web.remove(force=True)
    network.remove()
    volume.remove()
    try:
        client.images.remove('python-built')
    except docker.errors.ImageNotFound:
        pass
print(json.dumps(got))
